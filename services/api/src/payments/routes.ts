import type { Tables } from '@cashflow/db'
import { Router } from 'express'
import type { Kysely } from 'kysely'
import { allowOnly } from '../errors.ts'
import { jsonBody } from '../json-body.ts'
import type { Queue } from '../queue.ts'
import { createPaymentHandler, type PaymentWriter } from './create-payment.ts'
import { getPaymentHandler } from './get-payment.ts'

export interface PaymentParts {
  db: Kysely<Tables>
  writer: PaymentWriter
  /** Those who wait to write, and those who wait to read: neither keeps the others out. */
  writes: Queue
  reads: Queue
}

export function paymentRoutes(parts: PaymentParts): Router {
  const router = Router()
  router.route('/').post(jsonBody, createPaymentHandler(parts)).all(allowOnly('POST'))
  router.route('/:id').get(getPaymentHandler(parts)).all(allowOnly('GET', 'HEAD'))
  return router
}
