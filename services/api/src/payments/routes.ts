import { Router } from 'express'
import { allowOnly } from '../errors.ts'
import { jsonBody } from '../json-body.ts'
import { type CreatePaymentParts, createPaymentHandler } from './create-payment.ts'
import { getPaymentHandler } from './get-payment.ts'

export function paymentRoutes(parts: CreatePaymentParts): Router {
  const router = Router()
  router.route('/').post(jsonBody, createPaymentHandler(parts)).all(allowOnly('POST'))
  router.route('/:id').get(getPaymentHandler(parts.db)).all(allowOnly('GET', 'HEAD'))
  return router
}
