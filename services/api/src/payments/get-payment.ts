import { findPayment, type Tables } from '@cashflow/db'
import { isUuid } from '@cashflow/domain'
import type { RequestHandler } from 'express'
import type { Kysely } from 'kysely'
import { Problem } from '../problem.ts'
import type { RequestQueue } from '../request-queue.ts'
import { sendJson } from '../send-json.ts'
import { paymentView } from './payment-view.ts'

export interface GetPaymentOptions {
  db: Kysely<Tables>
  reads: RequestQueue
}

/** GET /payments/:id: 200 with the payment, or 404. */
export function getPaymentHandler({ db, reads }: GetPaymentOptions): RequestHandler<{ id: string }> {
  return async (req, res) => {
    const { id } = req.params
    const payment = isUuid(id) ? await reads.run(res, () => findPayment(db, id)) : undefined
    if (!payment) throw new Problem('not-found', 'No payment has this id.')
    res.locals.paymentId = payment.id
    sendJson(res, 200, paymentView(payment))
  }
}
