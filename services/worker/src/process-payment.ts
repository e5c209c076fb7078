import type { NewClaim, Tables } from '@cashflow/db'
import type { Outcome, PaymentStatus } from '@cashflow/domain'
import { type LogFields, type Logger, uuidv7 } from '@cashflow/runtime'
import type { Kysely, Transaction } from 'kysely'
import { type Batches, settlingOf, type TimedClaim } from './batches.ts'
import { attemptCharge, type Earlier, type Provider, type ProviderAnswer } from './provider/provider.ts'
import type { PaymentMessage } from './read-delivery.ts'
import { planRelease, type ReleaseLimits } from './release-plan.ts'
import { type RetryOptions, retryWhileUnavailable, transact as transactWith } from './retry.ts'
import { buryUnknown, park, putOff, release } from './set-aside.ts'

const OVERTAKEN_DELAY_MS = 1_000

export interface ProcessOptions extends ReleaseLimits {
  db: Kysely<Tables>
  batches: Batches
  provider: Provider
  logger: Logger
  /** Something was appended to the outbox. */
  notify: () => void
  providerDeadlineMs: number
  /** How long a payment may be PENDING past its lease or its retry before it is redriven. */
  redriveAfterMs: number
}

/** What a delivery came to. Each is a reason to acknowledge it. */
export type Processed =
  | 'settled'
  | 'skipped'
  | 'put off'
  | 'postponed'
  | 'pending'
  | 'refused'
  | 'given back'
  | 'parked'
  | 'overtaken'

/**
 * Takes the payment that a message points at as far as it will go: claim, act, settle. What it returns has been
 * committed. It may run any number of times and beside others: the row decides.
 *
 * @param claiming gives up as long as nothing is claimed, with `signal` or before: the message is no longer ours to settle
 * @throws when a signal aborts, and what repeating does not mend
 */
export async function processPayment(
  message: PaymentMessage,
  options: ProcessOptions,
  signal: AbortSignal,
  claiming: AbortSignal = signal,
): Promise<Processed> {
  const { db, batches, logger, provider, providerDeadlineMs, redriveAfterMs, random } = options
  const { paymentId } = message
  const facts = { payment_id: paymentId, message_id: message.messageId, request_id: message.requestId }
  const persistence = { signal, logger, random }
  const transact: Transact = (work) => transactWith(db, work, persistence)

  const token = uuidv7()
  const { claim, lease } = await claimInTime(batches, { id: paymentId, token }, { ...persistence, signal: claiming })
  switch (claim.verdict) {
    case 'settled':
      logger.info(`Skipping payment ${paymentId} (already ${claim.status})`, facts)
      return 'skipped'
    case 'parked':
      logger.info(`Skipping payment ${paymentId} (parked)`, facts)
      return 'skipped'
    case 'leased':
      await transact((tx) => putOff(tx, message, claim.leaseLeftMs))
      logger.info('payment is leased, its message is put off', { ...facts, delay_ms: Math.ceil(claim.leaseLeftMs) })
      return 'put off'
    case 'exhausted': {
      const { attempts } = claim
      const reason = 'its last claim ran out: a worker died, or PostgreSQL did not store what the provider had answered'
      if (await transact((tx, again) => park(tx, message, { attempts, reason, again }))) {
        logger.error('payment parked', { ...facts, attempts })
        return 'parked'
      }
      logger.info(`Skipping payment ${paymentId} (another was faster)`, facts)
      return 'skipped'
    }
    case 'unknown':
      await transact((tx) => buryUnknown(tx, message))
      logger.error('message names no payment, it is now a dead letter', facts)
      return 'parked'
    case 'claimed':
      break
    default:
      return claim satisfies never
  }

  const { payment, attempts, pending } = claim
  const earlier = { attempts, pending }
  const answer = await attemptCharge(provider, payment, { ...earlier, deadlineMs: providerDeadlineMs, lease })
  const processed = await conclude(answer, message, {
    settle: (outcome) => {
      const settling = settlingOf(payment, outcome, { token, requestId: message.requestId })
      return retryWhileUnavailable(() => batches.settlements.commit(settling), persistence)
    },
    token,
    earlier,
    limits: options,
    redriveAfterMs,
    transact,
    logger,
    facts,
  })
  if (processed === 'settled') options.notify()
  if (processed === 'overtaken') {
    logger.warn('the claim was lost, its result is not stored', facts)
    // Somebody has taken the payment over, or a lost primary took the claim with it: then nobody has it but this message.
    await transact((tx) => putOff(tx, message, OVERTAKEN_DELAY_MS))
  }
  return processed
}

type Transact = <Result>(work: (tx: Transaction<Tables>, again: boolean) => Promise<Result>) => Promise<Result>

interface Conclusion {
  /** Undefined when this claim holds the payment no longer. */
  settle: (outcome: Outcome) => Promise<PaymentStatus | undefined>
  token: string
  earlier: Earlier
  limits: ReleaseLimits
  redriveAfterMs: number
  transact: Transact
  logger: Logger
  facts: LogFields
}

/** Stores what the provider's answer leads to, if this claim still holds the payment. */
async function conclude(
  answer: ProviderAnswer,
  message: PaymentMessage,
  { settle, token, earlier, limits, redriveAfterMs, transact, logger, facts }: Conclusion,
): Promise<Processed> {
  if (answer.outcome === 'approved' || answer.outcome === 'declined') {
    const status = await settle(answer)
    if (!status) return 'overtaken'
    logger.info('payment settled', { ...facts, status })
    return 'settled'
  }
  const by = { ...planRelease(answer, earlier, limits), token, attempts: earlier.attempts, redriveAfterMs }
  const released = await transact((tx, again) => release(tx, message, { ...by, again }))
  if (!released) return 'overtaken'
  const { attempts, refusals, parked, delayMs } = released
  const counts = { ...facts, attempts, refusals }
  if (parked) {
    logger.error('payment parked', { ...counts, reason: by.parkReason })
    return 'parked'
  }
  const [level, line, processed] = RELEASES[answer.outcome]
  const reason = 'reason' in answer ? answer.reason : undefined
  logger[level](line, { ...counts, delay_ms: Math.ceil(delayMs), ...(reason !== undefined && { reason }) })
  return processed
}

const RELEASES = {
  unknown: ['warn', 'provider gave no answer, the payment is tried again', 'postponed'],
  pending: ['info', 'provider has not decided yet, it is asked again', 'pending'],
  refused: ['error', 'provider refused the request, the payment waits', 'refused'],
  misconfigured: ['error', 'provider refused the request, the payment waits', 'given back'],
  withheld: ['info', 'provider is away, the payment waits', 'given back'],
} as const satisfies Record<
  Exclude<ProviderAnswer, Outcome>['outcome'],
  [level: keyof Logger, line: string, processed: Processed]
>

/** A claim with enough of its lease left for the provider's deadline: one whose answer came late is made again. */
async function claimInTime({ claims }: Batches, claim: NewClaim, options: RetryOptions): Promise<TimedClaim> {
  for (;;) {
    const timed = await retryWhileUnavailable(() => claims.commit(claim, options.signal), options)
    if (!timed.margin.passed()) return timed
  }
}
