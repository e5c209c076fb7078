import { findPayment } from '@cashflow/db'
import { isUuid } from '@cashflow/domain'
import { type RequestHandler, Router } from 'express'
import { requireScope } from '../auth/authenticate.ts'
import { methodNotAllowed } from '../errors.ts'
import { createPaymentEventsHandler } from '../events/payment-events.ts'
import { createJsonBody } from '../json-body.ts'
import { Problem } from '../problem.ts'
import type { RequestQueue } from '../request-queue.ts'
import { sendJsonText } from '../send-json.ts'
import { type CreatePaymentOptions, createPaymentHandler } from './create-payment.ts'
import { type ListPaymentsOptions, listPaymentsHandler } from './list-payments.ts'
import { paymentJson } from './payment-json.ts'

/** Reads, lists and writes have a queue each, so that none delays another. */
export interface PaymentRoutesOptions extends CreatePaymentOptions, ListPaymentsOptions {
  reads: RequestQueue
}

export function paymentRoutes(options: PaymentRoutesOptions): Router {
  const router = Router()
  router
    .route('/')
    .get(requireScope('payments:read'), listPaymentsHandler(options))
    .post(requireScope('payments:write'), createJsonBody(), createPaymentHandler(options))
    .all(methodNotAllowed('GET', 'HEAD', 'POST'))
  router
    .route('/:id')
    .get(requireScope('payments:read'), getPaymentHandler(options))
    .all(methodNotAllowed('GET', 'HEAD'))
  router
    .route('/:id/events')
    .get(requireScope('payments:read'), createPaymentEventsHandler(options))
    .all(methodNotAllowed('GET', 'HEAD'))
  return router
}

/** GET /payments/:id: 200 with the payment, or 404. */
function getPaymentHandler({ db, reads }: PaymentRoutesOptions): RequestHandler<{ id: string }> {
  return async (req, res) => {
    const { id } = req.params
    const { merchantId } = res.locals
    const find = async () => {
      await res.locals.assertKey()
      return await findPayment(db, { merchantId, id })
    }
    const payment = isUuid(id) ? await reads.run(res, find) : undefined
    if (!payment) throw new Problem('not-found', 'No payment has this id.')
    res.locals.paymentId = payment.id
    res.setHeader('Cache-Control', 'private, no-cache')
    sendJsonText(res, 200, paymentJson(payment))
  }
}
