import { Router } from 'express'
import { requireScope } from '../auth/authenticate.ts'
import { methodNotAllowed } from '../errors.ts'
import { createPaymentEventsHandler } from '../events/payment-events.ts'
import { createJsonBody } from '../json-body.ts'
import { type AdvancePaymentOptions, advancePaymentHandler } from './advance-payment.ts'
import { type CancelPaymentOptions, cancelPaymentHandler } from './cancel-payment.ts'
import { type CreatePaymentOptions, createPaymentHandler } from './create-payment.ts'
import { type GetPaymentOptions, getPaymentHandler } from './get-payment.ts'
import { type ListPaymentsOptions, listPaymentsHandler } from './list-payments.ts'

export interface PaymentRoutesOptions
  extends CreatePaymentOptions,
    GetPaymentOptions,
    CancelPaymentOptions,
    ListPaymentsOptions {}

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
  router
    .route('/:id/cancel')
    .post(requireScope('payments:write'), cancelPaymentHandler(options))
    .all(methodNotAllowed('POST'))
  return router
}

/** For tests of integrators, in a sandbox only. */
export function testRoutes(options: AdvancePaymentOptions): Router {
  const router = Router()
  router
    .route('/:id/advance')
    .post(requireScope('payments:write'), advancePaymentHandler(options))
    .all(methodNotAllowed('POST'))
  return router
}
