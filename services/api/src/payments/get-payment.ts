import { findPayment } from '@cashflow/db'
import { isUuid } from '@cashflow/domain'
import type { RequestHandler } from 'express'
import { answerJson } from '../answer-json.ts'
import { withWriteSlot } from '../in-turn.ts'
import { Problem } from '../problem.ts'
import { paymentView } from './payment-view.ts'
import type { PaymentParts } from './routes.ts'

export function getPaymentHandler({ db, reads }: Pick<PaymentParts, 'db' | 'reads'>): RequestHandler<{ id: string }> {
  return async (req, res) => {
    const { id } = req.params
    const payment = isUuid(id) ? await withWriteSlot(reads, res, () => findPayment(db, id)) : undefined
    if (!payment) throw new Problem('not-found', 'No payment has this id.')
    res.locals.paymentId = payment.id
    answerJson(res, 200, paymentView(payment))
  }
}
