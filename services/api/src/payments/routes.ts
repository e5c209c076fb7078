import type { Tables } from '@cashflow/db'
import type { Notifier } from '@cashflow/outbox'
import { Router } from 'express'
import type { Kysely } from 'kysely'
import { allowOnly } from '../errors.ts'
import { jsonBody } from '../json-body.ts'
import { createPaymentHandler } from './create-payment.ts'
import { getPaymentHandler } from './get-payment.ts'

export function paymentRoutes({ db, notifier }: { db: Kysely<Tables>; notifier: Notifier }): Router {
  const router = Router()
  router.route('/').post(jsonBody, createPaymentHandler({ db, notifier })).all(allowOnly('POST'))
  router.route('/:id').get(getPaymentHandler(db)).all(allowOnly('GET', 'HEAD'))
  return router
}
