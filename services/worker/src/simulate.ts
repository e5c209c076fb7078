import { errorMessage, within } from '@cashflow/async'
import type { Tables } from '@cashflow/db'
import { mayCrash } from '@cashflow/db/worker'
import { DELIVERY_SIMULATIONS, SIMULATIONS } from '@cashflow/domain'
import type { Logger } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import type { Claimed } from './outcomes.ts'
import type { NoteCharge } from './provider/charges-file.ts'
import type { Charge, ProviderAnswer } from './provider/provider.ts'
import { type RetryOptions, retryWhileUnavailable } from './retry.ts'

const APPROVED: ProviderAnswer = { outcome: 'approved' }
const DECLINED: ProviderAnswer = { outcome: 'declined', failureCode: 'card_declined' }
const UNANSWERED: ProviderAnswer = { outcome: 'unknown', reason: 'metadata.simulate asks for no answer' }
const NOT_SIMULATED: ProviderAnswer = {
  outcome: 'unknown',
  reason: 'metadata.simulate asks for an outcome that this worker cannot simulate, and the provider was not asked',
}
const NOT_ATTEMPTED: ProviderAnswer = { outcome: 'not_attempted', reason: 'this worker ends itself' }

/**
 * Answers in place of a provider that moves money, in a sandbox. An api with another `PROVIDER` has accepted a payment that
 * asks for a simulated outcome, so it must not be charged. A worker with the simulated provider, or an operator, gets it later.
 */
export function refuseToSimulate({ simulate }: Pick<Claimed, 'simulate'>): Promise<ProviderAnswer> | undefined {
  const isAmong = (values: readonly string[]) => simulate !== null && values.includes(simulate)
  return isAmong(SIMULATIONS) && !isAmong(DELIVERY_SIMULATIONS) ? Promise.resolve(NOT_SIMULATED) : undefined
}

export interface SimulatorOptions {
  db: Kysely<Tables>
  logger: Logger
  /** Undefined where the charges are not noted. */
  noteCharge?: NoteCharge | undefined
  /** Ends this process as `kill -9` does. */
  crash?: () => void
}

export type Simulator = ReturnType<typeof createSimulator>

/**
 * Answers in place of the simulated provider, as the `metadata.simulate` of a payment asks. An answer comes at once: it needs
 * no slot, no place in the worker's prefetch, and the breaker does not see it.
 *
 * `worker_crash` ends this process at the payment's first attempt, as if it died between the charge and its settlement. First
 * the claims of all other payments are released, so that none of them loses an attempt.
 */
export function createSimulator(options: SimulatorOptions) {
  const { db, logger, noteCharge, crash = () => process.kill(process.pid, 'SIGKILL') } = options
  const crashing = new AbortController()
  /** The payments that are claimed, or being claimed, and their runs. */
  const runs = new Map<string, Promise<unknown>>()

  async function crashAlone(paymentId: string, retry: RetryOptions): Promise<ProviderAnswer> {
    const isFirst = await retryWhileUnavailable(() => mayCrash(db), retry)
    if (!isFirst) return UNANSWERED
    logger.warn('this worker ends itself, as metadata.simulate asks', { payment_id: paymentId })
    crashing.abort(new Error('this worker ends itself'))
    runs.delete(paymentId)
    await Promise.allSettled(runs.values())
    retry.signal.throwIfAborted() // The worker was stopped while PostgreSQL was away.
    crash()
    return UNANSWERED
  }

  function decide({ payment, attempts, simulate }: Claimed, retry: RetryOptions): Promise<ProviderAnswer> | undefined {
    if (crashing.signal.aborted) return Promise.resolve(NOT_ATTEMPTED)
    switch (simulate) {
      case 'success':
        return Promise.resolve(APPROVED)
      case 'decline':
        return Promise.resolve(DECLINED)
      case 'timeout':
        return Promise.resolve(UNANSWERED)
      case 'timeout_then_success':
        return Promise.resolve(attempts > 0 ? APPROVED : UNANSWERED)
      case 'worker_crash':
        return attempts > 0 ? Promise.resolve(APPROVED) : crashAlone(payment.id, retry)
      default:
        return undefined // The api accepts no other value, except those of deliveries, which are not the worker's work.
    }
  }

  return {
    /** True when this process is about to end. It must claim nothing any more. */
    get isCrashing(): boolean {
      return crashing.signal.aborted
    },
    /** Remembers the run of a payment, from before its claim to its end. */
    async track<Result>(paymentId: string, run: Promise<Result>): Promise<Result> {
      runs.set(paymentId, run)
      try {
        return await run
      } finally {
        runs.delete(paymentId)
      }
    },
    /** Undefined if the provider has to be asked. */
    answer(claimed: Claimed, retry: RetryOptions): Promise<ProviderAnswer> | undefined {
      if (!noteCharge) return decide(claimed, retry)
      return decide(claimed, retry)?.then((answer) => {
        try {
          noteCharge(claimed.payment, answer)
          return answer
        } catch (error) {
          return { outcome: 'unknown', reason: errorMessage(error) }
        }
      })
    },
    /** The same charge, until this process is about to end: its payment is then not charged. */
    interruptible(charge: Charge): Charge {
      const { signal } = crashing
      return (...given) =>
        within(charge(...given), { signal }).catch((error: unknown) => {
          if (!signal.aborted || error !== signal.reason) throw error
          return NOT_ATTEMPTED
        })
    },
  }
}
