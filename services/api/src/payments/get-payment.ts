import { findPayment } from '@cashflow/db'
import type { RequestHandler } from 'express'
import { answerJson } from '../answer-json.ts'
import { withWriteSlot } from '../in-turn.ts'
import { Problem } from '../problem.ts'
import { paymentView } from './payment-view.ts'
import type { PaymentParts } from './routes.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export function getPaymentHandler({ db, reads }: Pick<PaymentParts, 'db' | 'reads'>): RequestHandler<{ id: string }> {
  return async (req, res) => {
    const { id } = req.params
    const payment = UUID.test(id) ? await withWriteSlot(reads, res, () => findPayment(db, id)) : undefined
    if (!payment) throw new Problem('not-found', 'No payment has this id.')
    res.locals.paymentId = payment.id
    answerJson(res, 200, paymentView(payment))
  }
}
