import { Router } from 'express'
import { methodNotAllowed } from '../errors.ts'
import { jsonBody } from '../json-body.ts'
import { type CreatePaymentParts, createPaymentHandler } from './create-payment.ts'
import { type GetPaymentParts, getPaymentHandler } from './get-payment.ts'

/** Reads and writes have a queue each, so that neither delays the other. */
export interface PaymentParts extends CreatePaymentParts, GetPaymentParts {}

export function paymentRoutes(parts: PaymentParts): Router {
  const router = Router()
  router.route('/').post(jsonBody, createPaymentHandler(parts)).all(methodNotAllowed('POST'))
  router.route('/:id').get(getPaymentHandler(parts)).all(methodNotAllowed('GET', 'HEAD'))
  return router
}
