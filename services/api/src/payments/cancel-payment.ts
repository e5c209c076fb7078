import { type Canceled, cancelPayment, type PaymentView, type Tables } from '@cashflow/db'
import { isUuid } from '@cashflow/domain'
import type { RequestHandler } from 'express'
import type { Kysely } from 'kysely'
import { discardBody } from '../discard-body.ts'
import { Problem } from '../problem.ts'
import type { RequestQueue } from '../request-queue.ts'
import { unknownPayment } from './get-payment.ts'
import { sendPayment } from './send-payment.ts'

export interface CancelPaymentOptions {
  db: Kysely<Tables>
  changes: RequestQueue
  /** Called after COMMIT with the id of a payment that was settled here, with a message for its consumers. */
  settled: (paymentId: string) => void
}

/**
 * POST /payments/:id/cancel: 200 with the canceled payment, or 409 if the provider may have been asked for it. A repeated
 * request gets the same 200 again. Nothing of the request's body is read.
 */
export function cancelPaymentHandler({ db, changes, settled }: CancelPaymentOptions): RequestHandler<{ id: string }> {
  return async (req, res) => {
    discardBody(req)
    const { id } = req.params
    const { merchantId, requestId, traceparent } = res.locals
    const canceled: Canceled = isUuid(id)
      ? await changes.run(res, () => cancelPayment(db, { merchantId, id, requestId, traceparent }))
      : { outcome: 'unknown' }
    switch (canceled.outcome) {
      case 'canceled':
        settled(canceled.payment.id)
        return sendPayment(req, res, 200, canceled.payment)
      case 'refused':
        throw notCancelable(canceled.payment)
      case 'unknown':
        throw unknownPayment()
      default:
        return canceled satisfies never
    }
  }
}

function notCancelable({ id, status, waiting }: PaymentView): Problem {
  const why = waiting ? 'The provider may have been asked for the payment.' : `The payment is ${status}.`
  const members = { payment_id: id, payment_status: status, ...(waiting && { waiting_for: waiting.for }) }
  return new Problem('not-cancelable', why, { members })
}
