import { findPayment, type Tables } from '@cashflow/db'
import type { RequestHandler } from 'express'
import type { Kysely } from 'kysely'
import { Problem } from '../problem.ts'
import { retryTransient } from '../retry.ts'
import { paymentView } from './payment-view.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export function getPaymentHandler(db: Kysely<Tables>): RequestHandler<{ id: string }> {
  return async (req, res) => {
    const { id } = req.params
    const payment = UUID.test(id) ? await retryTransient(() => findPayment(db, id)) : undefined
    if (!payment) throw new Problem('not-found', 'No payment has this id.')
    res.locals.paymentId = payment.id
    res.json(paymentView(payment))
  }
}
