import type { Tables } from '@cashflow/db'
import type { Notifier } from '@cashflow/outbox'
import { Router } from 'express'
import type { Kysely } from 'kysely'
import { allowOnly } from '../errors.ts'
import { jsonBody } from '../json-body.ts'
import type { Queue } from '../queue.ts'
import { createPaymentHandler } from './create-payment.ts'
import { getPaymentHandler } from './get-payment.ts'

export interface PaymentParts {
  db: Kysely<Tables>
  queue: Queue
  notifier: Notifier
  /** When a payment that is still PENDING is sent through the pipeline again. */
  redriveAfterMs: number
}

export function paymentRoutes(parts: PaymentParts): Router {
  const router = Router()
  router.route('/').post(jsonBody, createPaymentHandler(parts)).all(allowOnly('POST'))
  router.route('/:id').get(getPaymentHandler(parts)).all(allowOnly('GET', 'HEAD'))
  return router
}
