import { hash } from 'node:crypto'
import type { PaymentView, Waiting } from '@cashflow/db'
import type { Request, Response } from 'express'
import { sendJsonText } from '../send-json.ts'
import { paymentJson } from './payment-json.ts'

const POLL_MIN_S = 1
/** The longest time that a client is told to wait before it asks again, in seconds. */
export const POLL_MAX_S = 60

/**
 * Answers with a payment as it is now. While it is PENDING, `Retry-After` says when to ask again. A client that has it in
 * this state already, and asks with `If-None-Match`, gets 304 (RFC 9110 §13.1.2).
 */
export function sendPayment(req: Request, res: Response, status: 200 | 201, payment: PaymentView): void {
  res.locals.paymentId = payment.id
  const text = paymentJson(payment)
  res.statusCode = status
  if (payment.waiting) res.setHeader('Retry-After', retryAfterS(payment.waiting))
  if (req.method !== 'POST') {
    res.setHeader('Cache-Control', 'private, no-cache')
    // Strong: the hash of exactly these bytes.
    res.setHeader('ETag', `"${hash('sha256', text, 'base64url')}"`)
    if (req.fresh) {
      res.statusCode = 304
      return void res.end()
    }
  }
  sendJsonText(res, status, text)
}

/** Tells the client that its preference `wait` was met (RFC 7240 §3). */
export function setWaitApplied(res: Response, seconds: number): void {
  res.setHeader('Preference-Applied', `wait=${seconds}`)
}

/** Seconds until the payment may have changed. It changes at any time while a worker may have it, or may soon have it. */
function retryAfterS({ for: what, nextActionMs }: Waiting): number {
  switch (what) {
    case 'queue':
    case 'worker':
    case 'provider':
      return POLL_MIN_S
    case 'retry':
    case 'pending':
      return secondsTo(nextActionMs)
    case 'operator':
      return POLL_MAX_S
    default:
      return what satisfies never
  }
}

/** Seconds from now to a time, within the limits of `Retry-After`. */
export function secondsTo(ms: number | null): number {
  return Math.min(POLL_MAX_S, Math.max(POLL_MIN_S, Math.ceil((ms ?? 0) / 1_000)))
}
