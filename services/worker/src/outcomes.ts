import type { Tables } from '@cashflow/db'
import {
  type AttemptData,
  attemptsAfter,
  type Claim,
  findReleased,
  isParked,
  lockClaimed,
  parkPayment,
  saveRetry,
} from '@cashflow/db/worker'
import { type Outcome, outcomeMessage, type Payment, type PaymentStatus, settlePayment } from '@cashflow/domain'
import { buryMessage, scheduleMessages } from '@cashflow/outbox'
import { type Logger, uuidv7 } from '@cashflow/runtime'
import { type Spans, traceparentOf, untilDone } from '@cashflow/tracing'
import type { Kysely, Transaction } from 'kysely'
import type { Batches, Settling } from './batches.ts'
import { parkedLetter, unknownLetter } from './dead-letters.ts'
import { logFieldsOf, type PaymentMessage, retryOf } from './payment-message.ts'
import type { Charge, ProviderAnswer } from './provider/provider.ts'
import { planRelease, type ReleaseLimits, type ReleasePlan } from './release-plan.ts'
import { type RetryOptions, retryWhileUnavailable, transact } from './retry.ts'
import type { Trace } from './trace.ts'

const CLAIM_LOST_DELAY_MS = 1_000

export interface ProcessOptions extends ReleaseLimits {
  db: Kysely<Tables>
  batches: Batches
  charge: Charge
  /** Answers in place of the provider. Undefined if it has to be asked. */
  simulate?: ((claim: Claimed, retry: RetryOptions) => Promise<ProviderAnswer> | undefined) | undefined
  logger: Logger
  /** Called after COMMIT about a settled payment, whose message is in the outbox. */
  settled: (paymentId: string, status: PaymentStatus, createdAt: Date) => void
  providerDeadlineMs: number
  /** Time that a payment may be PENDING after the end of its lease, or the time of its retry, before it is redriven. */
  redriveAfterMs: number
  /** Undefined where nothing is traced. */
  spans?: Spans | undefined
}

/** One message while a worker processes it. */
export interface PaymentRun {
  readonly message: PaymentMessage
  /** The claim holds the payment as long as the payment's row has this token. */
  readonly token: string
  readonly options: ProcessOptions
  readonly retry: RetryOptions
}

/** The result of processing a message. Each is a reason to acknowledge the message. */
export type Processed =
  | 'settled'
  | 'skipped'
  | 'rescheduled'
  | 'retry_scheduled'
  | 'pending'
  | 'refused'
  | 'released'
  | 'parked'
  | 'claim_lost'

export type Claimed = Extract<Claim, { verdict: 'claimed' }>

// One function for each outcome: it stores the outcome and logs it. A transaction is repeated when its COMMIT is in doubt,
// and recognises its own work then.

/** Skips a payment that needs no work. */
export function skip({ message, options }: PaymentRun, why: string): Processed {
  options.logger.info(`Skipping payment ${message.paymentId} (${why})`, logFieldsOf(message))
  return 'skipped'
}

/** Reschedules the message of a payment that another worker has, or that waits for its retry, to the end of its lease. */
export async function rescheduleLeased(run: PaymentRun, leaseLeftMs: number): Promise<Processed> {
  const { message, options } = run
  await transact(options.db, (tx) => rescheduleMessage(tx, message, leaseLeftMs), run.retry)
  const fields = { ...logFieldsOf(message), delay_ms: Math.ceil(leaseLeftMs) }
  options.logger.info('payment is leased, its message is rescheduled', fields)
  return 'rescheduled'
}

/** Parks a payment whose last attempt ended without an answer: an operator decides. */
export async function parkExhausted(run: PaymentRun, attempts: number): Promise<Processed> {
  const { message, options } = run
  const reason = 'its last claim ran out: a worker died, or PostgreSQL did not store what the provider had answered'
  const work = (tx: Transaction<Tables>, again: boolean) => park(tx, message, { attempts, reason, again })
  if (!(await transact(options.db, work, run.retry))) return skip(run, 'another worker was faster')
  options.logger.error('payment parked', { ...logFieldsOf(message), attempts })
  return 'parked'
}

/** Makes a dead letter of a message that names no payment. */
export async function buryUnknown(run: PaymentRun): Promise<Processed> {
  const { message, options } = run
  await transact(options.db, (tx) => buryMessage(tx, unknownLetter(message)), run.retry)
  options.logger.error('message names no payment, it is now a dead letter', logFieldsOf(message))
  return 'parked'
}

/** Settles a payment as SUCCESS or FAILED, as the provider decided, if the claim still holds it. */
export async function settle(
  run: PaymentRun,
  { payment, lastHash: previousHash }: Claimed,
  outcome: Outcome,
  trace: Trace,
): Promise<Processed> {
  const { message, token, options } = run
  const { requestId, traceparent } = message
  const span = options.spans?.child('settle', message.span)
  const claim = { token, requestId, previousHash, trace, ...(span && { span: traceparentOf(span) }) }
  const settlement = settlementOf(payment, outcome, claim, traceparent)
  const commit = () => options.batches.settlements.commit(settlement)
  const status = await untilDone(span, retryWhileUnavailable(commit, run.retry))
  if (!status) return await loseClaim(run)
  options.logger.info('payment settled', { ...logFieldsOf(message), status })
  options.settled(message.paymentId, status, payment.createdAt)
  return 'settled'
}

/** The settlement of a claimed payment. It is created once, so that a repeated write finds what the first one stored. */
export function settlementOf(
  claimed: Payment,
  outcome: Outcome,
  claim: Pick<Settling, 'token' | 'requestId' | 'previousHash' | 'trace' | 'span'>,
  traceparent?: string,
): Settling {
  const result = settlePayment(claimed, outcome, new Date())
  if (!result.settled) throw new Error(`bug: a claimed payment was ${result.status}`)
  const { payment, event } = result
  const { requestId } = claim
  const messages = [outcomeMessage(payment, event, { messageId: uuidv7(), requestId, traceparent })]
  return { ...claim, payment, event, actor: 'worker', messages }
}

/** Ends the claim of a payment that the provider has not decided. The payment is tried again later, or parked. */
export async function releaseClaim(
  run: PaymentRun,
  { attempts, pending }: Claimed,
  answer: Exclude<ProviderAnswer, Outcome>,
  trace: Trace,
): Promise<Processed> {
  const { message, options } = run
  const plan = planRelease(answer, { attempts, pending }, options)
  const reason = 'reason' in answer ? answer.reason : undefined
  const data = { ...trace, answer: answer.outcome, reason }
  const work = (tx: Transaction<Tables>, again: boolean) => release(tx, run, { plan, attempts, data, again })
  const span = options.spans?.child('release', message.span, { attributes: { 'cashflow.answer': answer.outcome } })
  const released = await untilDone(span, transact(options.db, work, run.retry))
  if (!released) return await loseClaim(run)
  const fields = { ...logFieldsOf(message), attempts: released.attempts, refusals: released.refusals }
  if (released.parked) {
    options.logger.error('payment parked', { ...fields, reason: plan.parkReason })
    return 'parked'
  }
  const [level, line, processed] = RELEASES[answer.outcome]
  options.logger[level](line, { ...fields, delay_ms: Math.ceil(released.delayMs), ...(reason && { reason }) })
  return processed
}

const RELEASES = {
  unknown: ['warn', 'provider gave no answer, the payment is tried again', 'retry_scheduled'],
  pending: ['info', 'provider has not decided yet, it is asked again', 'pending'],
  refused: ['error', 'provider refused the request, the payment waits', 'refused'],
  rejected: ['error', 'provider refused the request, the payment waits', 'released'],
  not_attempted: ['info', 'provider was not asked, the payment waits', 'released'],
} as const satisfies Record<
  Exclude<ProviderAnswer, Outcome>['outcome'],
  [level: keyof Logger, line: string, processed: Processed]
>

/**
 * Ends a run whose claim does not hold the payment any more: the provider's answer is not stored. Either another worker has
 * claimed the payment, or a lost primary took the claim with it. In the second case only this message leads to the
 * payment, so it is rescheduled.
 */
async function loseClaim(run: PaymentRun): Promise<Processed> {
  const { message, options } = run
  options.logger.warn('the claim was lost, its result is not stored', logFieldsOf(message))
  await transact(options.db, (tx) => rescheduleMessage(tx, message, CLAIM_LOST_DELAY_MS), run.retry)
  return 'claim_lost'
}

/** Sends the payment to a worker again, after a delay. A repeated transaction schedules it twice, which is harmless. */
export function rescheduleMessage(tx: Transaction<Tables>, message: PaymentMessage, delayMs: number): Promise<void> {
  return scheduleMessages(tx, [retryOf(message)], delayMs)
}

/** Ends the claim as planned. Undefined when the claim is lost. */
async function release(
  tx: Transaction<Tables>,
  { message, token, options }: PaymentRun,
  { plan, attempts: before, data, again }: { plan: ReleasePlan; attempts: number; data: AttemptData; again: boolean },
): Promise<{ attempts: number; refusals: number; parked: boolean; delayMs: number } | undefined> {
  const { cause, delayMsAfter, mustPark, parkReason: reason } = plan
  const { paymentId: id } = message
  if (!(await lockClaimed(tx, { id, token }))) {
    const attempts = attemptsAfter(cause, before)
    const done = again ? await findReleased(tx, id, { attempts }) : undefined
    return done && { ...done, attempts }
  }
  const saved = await saveRetry(tx, id, { cause, delayMsAfter, redriveAfterMs: options.redriveAfterMs, data })
  const parked = mustPark(saved)
  if (parked) await park(tx, message, { attempts: saved.attempts, reason, again })
  else await rescheduleMessage(tx, message, saved.delayMs)
  return { ...saved, parked }
}

/**
 * Takes the payment out of the pipeline, with a dead letter that gives the reason.
 *
 * @returns false when the payment is in another state by now, and nothing was changed
 */
async function park(
  tx: Transaction<Tables>,
  message: PaymentMessage,
  { attempts, reason, again }: { attempts: number; reason: string; again: boolean },
): Promise<boolean> {
  if (!(await parkPayment(tx, message.paymentId, attempts, reason)))
    return again && (await isParked(tx, message.paymentId))
  await buryMessage(tx, parkedLetter(message, reason, attempts))
  return true
}
