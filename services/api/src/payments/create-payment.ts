import { type InsertOptions, insertPayment, type Tables } from '@cashflow/db'
import { createPayment, DEFAULT_MERCHANT_ID, type PaymentEvent } from '@cashflow/domain'
import { appendMessages, type NewMessage } from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'
import type { RequestHandler } from 'express'
import type { Transaction } from 'kysely'
import { inTurn } from '../in-turn.ts'
import { Problem } from '../problem.ts'
import { readPaymentBody } from './payment-body.ts'
import { paymentView } from './payment-view.ts'
import type { PaymentParts } from './routes.ts'

/** 201 promises that the payment will be settled, so it is sent only after COMMIT was answered. */
export function createPaymentHandler({ db, queue, notifier, redriveAfterMs }: PaymentParts): RequestHandler {
  return async (req, res) => {
    const { amount: money, reference } = readPaymentBody(req.body)
    const { requestId } = res.locals
    // All ids are made before the first attempt: when the answer to a COMMIT is lost, the next one finds its own payment.
    const created = createPayment({ id: uuidv7(), merchantId: DEFAULT_MERCHANT_ID, reference, money, at: new Date() })
    const message = messageAbout(created.event, requestId)
    const { paymentId } = await inTurn(queue, res, () =>
      db.transaction().execute((tx) => store(tx, created, message, { requestId, redriveAfterMs })),
    )
    res.locals.paymentId = paymentId
    if (paymentId !== created.payment.id)
      throw new Problem('duplicate-reference', 'A payment with this reference exists; payment_id names it.', {
        members: { payment_id: paymentId },
      })
    notifier.notify()
    res.status(201).location(`${req.baseUrl}/${paymentId}`).json(paymentView(created.payment))
  }
}

function messageAbout({ type, paymentId }: PaymentEvent, requestId: string): NewMessage {
  return {
    messageId: uuidv7(),
    key: paymentId,
    topic: type,
    payload: { payment_id: paymentId },
    headers: { 'x-request-id': requestId },
  }
}

/** The payment, its event and its message, or none of them; none where the reference is taken. */
async function store(
  tx: Transaction<Tables>,
  { payment, event }: ReturnType<typeof createPayment>,
  message: NewMessage,
  options: InsertOptions,
) {
  const stored = await insertPayment(tx, payment, event, options)
  if (stored.inserted) await appendMessages(tx, [message])
  return stored
}
