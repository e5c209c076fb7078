import { type Advanced, advancePayment, type Tables, type Waiting } from '@cashflow/db'
import { isUuid, retryMessage } from '@cashflow/domain'
import { uuidv7 } from '@cashflow/runtime'
import type { RequestHandler } from 'express'
import type { Kysely } from 'kysely'
import { discardBody } from '../discard-body.ts'
import { Problem } from '../problem.ts'
import type { RequestQueue } from '../request-queue.ts'
import { unknownPayment } from './get-payment.ts'
import { POLL_MAX_S, secondsTo, sendPayment } from './send-payment.ts'

export interface AdvancePaymentOptions {
  db: Kysely<Tables>
  changes: RequestQueue
  /** Called after something was appended to the outbox. */
  notify: () => void
}

/**
 * POST /test/payments/:id/advance, in a sandbox: makes due now what is scheduled for a payment.
 *
 * - 200 with the payment, also if it is settled, so that a request may be repeated.
 * - 409 while a worker has it, and if it waits for an operator.
 */
export function advancePaymentHandler({ db, changes, notify }: AdvancePaymentOptions): RequestHandler<{ id: string }> {
  return async (req, res) => {
    discardBody(req)
    const { id } = req.params
    const { merchantId, requestId, traceparent } = res.locals
    const message = retryMessage(id.toLowerCase(), { messageId: uuidv7(), requestId, traceparent })
    const advanced: Advanced = isUuid(id)
      ? await changes.run(res, () => advancePayment(db, { merchantId, id, message }))
      : { outcome: 'unknown' }
    switch (advanced.outcome) {
      case 'advanced':
        notify()
        return sendPayment(req, res, 200, advanced.payment)
      case 'settled':
        return sendPayment(req, res, 200, advanced.payment)
      case 'refused':
        throw notAdvanceable(id, advanced.waiting)
      case 'unknown':
        throw unknownPayment()
      default:
        return advanced satisfies never
    }
  }
}

function notAdvanceable(id: string, { for: waiting_for, nextActionAt, nextActionMs }: Waiting): Problem {
  const why =
    nextActionAt === null
      ? 'The payment waits for an operator, and nothing is scheduled for it.'
      : 'A worker has the payment, and its lease is left alone; next_action_at says when it ends.'
  const members = {
    payment_id: id,
    payment_status: 'PENDING' as const,
    waiting_for,
    ...(nextActionAt && { next_action_at: nextActionAt.toISOString() }),
  }
  const headers = { 'Retry-After': String(nextActionAt ? secondsTo(nextActionMs) : POLL_MAX_S) }
  return new Problem('not-advanceable', why, { members, headers })
}
