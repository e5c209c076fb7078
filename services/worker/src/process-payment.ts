import { claimPayment, lockClaimed, outcomeMessage, saveSettled, type Tables } from '@cashflow/db'
import { type Outcome, type PaymentStatus, settlePayment } from '@cashflow/domain'
import { appendMessages } from '@cashflow/outbox'
import { type Logger, uuidv7 } from '@cashflow/runtime'
import type { Kysely, Transaction } from 'kysely'
import { attemptCharge, type Provider } from './provider.ts'
import type { PaymentMessage } from './read-delivery.ts'
import { persist } from './retry.ts'
import { buryUnknown, park, postpone, putOff } from './set-aside.ts'

const ATTEMPTS_MAX = 10
// For the claim's answer to arrive, the settling that follows the charge, and clocks that do not run alike.
const LEASE_MARGIN_MS = 5_000

export interface ProcessOptions {
  db: Kysely<Tables>
  provider: Provider
  logger: Logger
  /** Something was appended to the outbox. */
  notify: () => void
  providerDeadlineMs: number
  /** How long a payment may be PENDING past its lease or its retry before it is redriven. */
  redriveAfterMs: number
  attemptsMax?: number
  random?: () => number
}

/** What a delivery came to. Each is a reason to acknowledge it. */
export type Processed = 'settled' | 'skipped' | 'put off' | 'postponed' | 'parked' | 'overtaken'

/**
 * Takes the payment that a message points at as far as it will go: claim, act, settle. What it returns has been
 * committed. It may run any number of times and beside others: the row decides.
 *
 * @throws the signal's reason once that aborts, and what repeating does not mend
 */
export async function processPayment(
  message: PaymentMessage,
  options: ProcessOptions,
  signal: AbortSignal,
): Promise<Processed> {
  const { db, logger, provider, providerDeadlineMs, redriveAfterMs, attemptsMax = ATTEMPTS_MAX, random } = options
  const { paymentId } = message
  const facts = { payment_id: paymentId, message_id: message.messageId, request_id: message.requestId }
  const transact = <Result>(work: (tx: Transaction<Tables>) => Promise<Result>) =>
    persist(() => db.transaction().execute(work), { signal, logger, random })

  const token = uuidv7()
  const claim = await claimInTime(message, { ...options, token, attemptsMax }, signal)
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
    case 'exhausted':
      await transact((tx) => park(tx, message, { attempts: claim.attempts, reason: 'the worker died at each attempt' }))
      logger.error('payment parked', { ...facts, attempts: claim.attempts })
      return 'parked'
    case 'unknown':
      await transact((tx) => buryUnknown(tx, message))
      logger.error('message names no payment, it is now a dead letter', facts)
      return 'parked'
    case 'claimed':
      break
    default:
      return claim satisfies never
  }

  const answer = await attemptCharge(provider, claim.payment, providerDeadlineMs)
  if (answer.outcome === 'unknown') {
    const { reason } = answer
    const postponed = await transact((tx) =>
      postpone(tx, message, { token, reason, attemptsMax, redriveAfterMs, random }),
    )
    if (postponed?.parked) logger.error('payment parked', { ...facts, ...postponed, reason })
    else if (postponed)
      logger.warn('provider gave no answer, the payment is tried again', { ...facts, ...postponed, reason })
    else return overtaken()
    return postponed.parked ? 'parked' : 'postponed'
  }
  const status = await transact((tx) => settle(tx, message, token, answer))
  if (!status) return overtaken()
  options.notify()
  logger.info('payment settled', { ...facts, status })
  return 'settled'

  function overtaken(): Processed {
    logger.warn('the claim was lost, its result is not stored', facts)
    return 'overtaken'
  }
}

/** A claim with enough of its lease left for the provider's deadline: one whose answer came late is made again. */
async function claimInTime(
  { paymentId }: PaymentMessage,
  {
    db,
    logger,
    token,
    attemptsMax,
    providerDeadlineMs,
    redriveAfterMs,
    random,
  }: ProcessOptions & { token: string; attemptsMax: number },
  signal: AbortSignal,
) {
  const leaseMs = providerDeadlineMs + 2 * LEASE_MARGIN_MS
  const claimOnce = () => claimPayment(db, paymentId, { token, leaseMs, attemptsMax, redriveAfterMs })
  for (;;) {
    const startedAt = performance.now()
    const claim = await persist(claimOnce, { signal, logger, random })
    if (performance.now() - startedAt < LEASE_MARGIN_MS) return claim
  }
}

/** Status, event and message, or none of them; undefined when this claim holds the payment no longer. */
async function settle(
  tx: Transaction<Tables>,
  message: PaymentMessage,
  token: string,
  outcome: Outcome,
): Promise<PaymentStatus | undefined> {
  const locked = await lockClaimed(tx, message.paymentId, token)
  if (!locked) return undefined
  const settlement = settlePayment(locked, outcome, new Date())
  // This very claim has settled it: the answer to an earlier COMMIT was lost.
  if (!settlement.settled) return settlement.status
  const { payment, event } = settlement
  await saveSettled(tx, payment, event, { actor: 'worker', requestId: message.requestId })
  await appendMessages(tx, [outcomeMessage(payment, event, message.requestId)])
  return payment.status
}
