import { Router } from 'express'
import { methodNotAllowed } from '../errors.ts'
import { jsonBody } from '../json-body.ts'
import { type CreatePaymentOptions, createPaymentHandler } from './create-payment.ts'
import { type GetPaymentOptions, getPaymentHandler } from './get-payment.ts'

/** Reads and writes have a queue each, so that neither delays the other. */
export interface PaymentRoutesOptions extends CreatePaymentOptions, GetPaymentOptions {}

export function paymentRoutes(options: PaymentRoutesOptions): Router {
  const router = Router()
  router.route('/').post(jsonBody, createPaymentHandler(options)).all(methodNotAllowed('POST'))
  router.route('/:id').get(getPaymentHandler(options)).all(methodNotAllowed('GET', 'HEAD'))
  return router
}
