import { isKnownCurrency } from '@cashflow/domain'
import { uuidv7 } from '@cashflow/runtime'
import { type Span, traceparentOf, untilDone } from '@cashflow/tracing'
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
import type { ProviderAnswer } from './provider/provider.ts'
import { doubtOf } from './release-plan.ts'
import { retryWhileUnavailable } from './retry.ts'
import { traceOf } from './trace.ts'

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
  const { logger, random, batches } = options
  const run: PaymentRun = { message, token: uuidv7(), options, retry: { signal, logger, random, loops: batches.loops } }
  const span = options.spans?.child('claim', message.span)
  const timed = await untilDone(span, claimInTime(run, claiming, span))
  const { claim } = timed
  switch (claim.verdict) {
    case 'claimed':
      return await charge(run, claim, timed)
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
async function claimInTime(
  { message, token, options, retry }: PaymentRun,
  signal: AbortSignal,
  span: Span | undefined,
): Promise<TimedClaim> {
  const claim = { id: message.paymentId, token, span: span && traceparentOf(span) }
  const commit = () => options.batches.claims.commit(claim, signal)
  for (;;) {
    const timed = await retryWhileUnavailable(commit, { ...retry, signal })
    if (timed.startBy.passed()) continue
    span?.setAttribute('cashflow.verdict', timed.claim.verdict)
    return timed
  }
}

async function charge(
  run: PaymentRun,
  claim: Claimed,
  { claimedAt, leaseEnd }: Pick<TimedClaim, 'claimedAt' | 'leaseEnd'>,
): Promise<Processed> {
  const { payment, attempts, pending } = claim
  const { options } = run
  const inPlace = answerUnknown(claim) ?? options.simulate?.(claim, run.retry)
  const askedAt = inPlace ? undefined : new Date()
  const traceparent = run.message.span ?? run.message.traceparent
  const attempt = { attempts, pending, deadlineMs: options.providerDeadlineMs, leaseEnd, traceparent }
  const answer = await (inPlace ?? options.charge(payment, attempt))
  const trace = traceOf(answer, { attempt: attempts + 1, claimedAt, askedAt })
  switch (answer.outcome) {
    case 'approved':
    case 'declined':
      return await settle(run, claim, answer, trace)
    default:
      return await releaseClaim(run, claim, answer, trace)
  }
}

/**
 * Answers in place of the provider for a currency that only a newer version knows: its amount cannot be written. A worker of
 * that version, or an operator, gets the payment later.
 */
function answerUnknown({ payment: { currency }, ...earlier }: Claimed): ProviderAnswer | undefined {
  if (isKnownCurrency(currency)) return undefined
  // An attempt of another worker looks the same as one of a worker that did not know the currency either.
  const reason = `this worker does not know the currency ${currency}, and has not asked the provider${doubtOf(earlier)}`
  return { outcome: 'unknown', reason }
}
