import { uuidv7 } from '@cashflow/runtime'
import type { TimedClaim } from './batches.ts'
import {
  buryUnknown,
  type Claimed,
  type PaymentRun,
  type Processed,
  type ProcessOptions,
  parkExhausted,
  releaseClaim,
  rescheduleLeased,
  settle,
  skip,
} from './outcomes.ts'
import type { PaymentMessage } from './payment-message.ts'
import { retryWhileUnavailable } from './retry.ts'
import type { TimeLimit } from './time-limit.ts'

/**
 * Processes the payment that a message names: claim, charge, settle. Each outcome is committed before it is returned.
 * Any number of workers may process the same payment at the same time: its row decides which one charges.
 *
 * @param signal aborts when the worker stops
 * @param claiming aborts when the message no longer belongs to this worker, and ends the run if nothing is claimed yet
 * @throws when a signal aborts, and for an error that another attempt cannot change
 */
export async function processPayment(
  message: PaymentMessage,
  options: ProcessOptions,
  signal: AbortSignal,
  claiming: AbortSignal = signal,
): Promise<Processed> {
  const { logger, random } = options
  const run: PaymentRun = { message, token: uuidv7(), options, retry: { signal, logger, random } }
  const { claim, leaseEnd } = await claimInTime(run, claiming)
  switch (claim.verdict) {
    case 'claimed':
      return await charge(run, claim, leaseEnd)
    case 'settled':
      return skip(run, `already ${claim.status}`)
    case 'parked':
      return skip(run, 'parked')
    case 'leased':
      return await rescheduleLeased(run, claim.leaseLeftMs)
    case 'exhausted':
      return await parkExhausted(run, claim.attempts)
    case 'unknown':
      return await buryUnknown(run)
    default:
      return claim satisfies never
  }
}

/** Claims the payment. A claim whose answer came too late to charge within its lease is made again. */
async function claimInTime({ message, token, options, retry }: PaymentRun, signal: AbortSignal): Promise<TimedClaim> {
  const claim = { id: message.paymentId, token }
  for (;;) {
    const timed = await retryWhileUnavailable(() => options.batches.claims.commit(claim, signal), { ...retry, signal })
    if (!timed.startBy.passed()) return timed
  }
}

async function charge(run: PaymentRun, claim: Claimed, leaseEnd: TimeLimit): Promise<Processed> {
  const { payment, attempts, pending } = claim
  const { options } = run
  const attempt = { attempts, pending, deadlineMs: options.providerDeadlineMs, leaseEnd }
  const answer = await (options.simulate?.(claim, run.retry) ?? options.charge(payment, attempt))
  switch (answer.outcome) {
    case 'approved':
    case 'declined':
      return await settle(run, payment, answer)
    default:
      return await releaseClaim(run, claim, answer)
  }
}
