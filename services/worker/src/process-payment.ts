import type { NewClaim, Tables } from '@cashflow/db'
import type { Outcome, PaymentStatus } from '@cashflow/domain'
import { type LogFields, type Logger, uuidv7 } from '@cashflow/runtime'
import type { Kysely, Transaction } from 'kysely'
import { type Batches, settlingOf, type TimedClaim } from './batches.ts'
import { attemptCharge, type Provider, type ProviderAnswer } from './provider.ts'
import type { PaymentMessage } from './read-delivery.ts'
import { type PersistOptions, persist, transact as transactWith } from './retry.ts'
import { buryUnknown, giveBack, park, postpone, putOff } from './set-aside.ts'

const OVERTAKEN_DELAY_MS = 1_000
// When a payment is looked at again that the provider was not asked about, or did not want to hear of.
const WITHHELD_DELAY_MS = 1_000
const MISCONFIGURED_DELAY_MS = 60_000

export interface ProcessOptions {
  db: Kysely<Tables>
  batches: Batches
  provider: Provider
  logger: Logger
  /** Something was appended to the outbox. */
  notify: () => void
  providerDeadlineMs: number
  /** How long a payment may be PENDING past its lease or its retry before it is redriven. */
  redriveAfterMs: number
  attemptsMax: number
  random?: (() => number) | undefined
}

/** What a delivery came to. Each is a reason to acknowledge it. */
export type Processed = 'settled' | 'skipped' | 'put off' | 'postponed' | 'given back' | 'parked' | 'overtaken'

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
  const { db, batches, logger, provider, providerDeadlineMs, redriveAfterMs, attemptsMax, random } = options
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
      const reason = 'the worker died at each attempt'
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

  const { payment, attempts } = claim
  const answer = await attemptCharge(provider, payment, { attempts, deadlineMs: providerDeadlineMs, lease })
  const processed = await conclude(answer, message, {
    settle: (outcome) => {
      const settling = settlingOf(payment, outcome, { token, requestId: message.requestId })
      return persist(() => batches.settlements.commit(settling), persistence)
    },
    token,
    attempts,
    attemptsMax,
    redriveAfterMs,
    random,
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
  attempts: number
  attemptsMax: number
  redriveAfterMs: number
  random: (() => number) | undefined
  transact: Transact
  logger: Logger
  facts: LogFields
}

/** Stores what the provider's answer leads to, if this claim still holds the payment. */
async function conclude(
  answer: ProviderAnswer,
  message: PaymentMessage,
  { settle, token, attempts, attemptsMax, redriveAfterMs, random, transact, logger, facts }: Conclusion,
): Promise<Processed> {
  switch (answer.outcome) {
    case 'approved':
    case 'declined': {
      const status = await settle(answer)
      if (!status) return 'overtaken'
      logger.info('payment settled', { ...facts, status })
      return 'settled'
    }
    case 'unknown': {
      const { reason, retryAfterMs: delayMinMs = 0 } = answer
      const by = { token, attempts, reason, attemptsMax, redriveAfterMs, random, delayMinMs }
      const postponed = await transact((tx, again) => postpone(tx, message, { ...by, again }))
      if (!postponed) return 'overtaken'
      if (postponed.parked) logger.error('payment parked', { ...facts, ...postponed, reason })
      else logger.warn('provider gave no answer, the payment is tried again', { ...facts, ...postponed, reason })
      return postponed.parked ? 'parked' : 'postponed'
    }
    case 'misconfigured': {
      const delayMs = MISCONFIGURED_DELAY_MS
      const by = { token, attempts, delayMs, redriveAfterMs }
      if (!(await transact((tx, again) => giveBack(tx, message, { ...by, again })))) return 'overtaken'
      logger.error('provider refused the request, the payment waits', {
        ...facts,
        delay_ms: delayMs,
        reason: answer.reason,
      })
      return 'given back'
    }
    case 'withheld': {
      const delayMs = WITHHELD_DELAY_MS
      const by = { token, attempts, delayMs, redriveAfterMs }
      if (!(await transact((tx, again) => giveBack(tx, message, { ...by, again })))) return 'overtaken'
      logger.info('provider is away, the payment waits', { ...facts, delay_ms: delayMs })
      return 'given back'
    }
    default:
      return answer satisfies never
  }
}

/** A claim with enough of its lease left for the provider's deadline: one whose answer came late is made again. */
async function claimInTime({ claims }: Batches, claim: NewClaim, options: PersistOptions): Promise<TimedClaim> {
  for (;;) {
    const timed = await persist(() => claims.commit(claim, options.signal), options)
    if (!timed.margin.passed()) return timed
  }
}
