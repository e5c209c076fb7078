import { findPayment, type Tables } from '@cashflow/db'
import { isUuid } from '@cashflow/domain'
import { type RequestHandler, Router } from 'express'
import type { Kysely } from 'kysely'
import { methodNotAllowed } from '../errors.ts'
import { jsonBody } from '../json-body.ts'
import { Problem } from '../problem.ts'
import type { RequestQueue } from '../request-queue.ts'
import { sendJson } from '../send-json.ts'
import { type CreatePaymentOptions, createPaymentHandler } from './create-payment.ts'
import { paymentView } from './payment-view.ts'

/** Reads and writes have a queue each, so that neither delays the other. */
export interface PaymentRoutesOptions extends CreatePaymentOptions {
  db: Kysely<Tables>
  reads: RequestQueue
}

export function paymentRoutes(options: PaymentRoutesOptions): Router {
  const router = Router()
  router.route('/').post(jsonBody, createPaymentHandler(options)).all(methodNotAllowed('POST'))
  router.route('/:id').get(getPaymentHandler(options)).all(methodNotAllowed('GET', 'HEAD'))
  return router
}

/** GET /payments/:id: 200 with the payment, or 404. */
function getPaymentHandler({ db, reads }: PaymentRoutesOptions): RequestHandler<{ id: string }> {
  return async (req, res) => {
    const { id } = req.params
    const payment = isUuid(id) ? await reads.run(res, () => findPayment(db, id)) : undefined
    if (!payment) throw new Problem('not-found', 'No payment has this id.')
    res.locals.paymentId = payment.id
    sendJson(res, 200, paymentView(payment))
  }
}
