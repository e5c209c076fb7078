import {
  createGroupCommit,
  findHolders,
  insertPayments,
  onlyStatement,
  type PaymentInsert,
  type ReferenceHolder,
  type Tables,
} from '@cashflow/db'
import { createdMessage, createPayment, DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import type { Notifier } from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'
import type { RequestHandler } from 'express'
import type { Kysely } from 'kysely'
import { BATCH_MAX, WRITERS_ALONE_MAX, WRITERS_MAX } from '../limits.ts'
import { Problem } from '../problem.ts'
import type { RequestQueue } from '../request-queue.ts'
import { sendJson } from '../send-json.ts'
import { readPaymentBody } from './payment-body.ts'
import { paymentView } from './payment-view.ts'

export interface CreatePaymentOptions {
  writer: PaymentWriter
  writes: RequestQueue
}

/**
 * POST /payments: 201 with the payment, or 409 if its reference is taken. 201 promises that the payment will be settled,
 * so it is sent only after PostgreSQL has answered COMMIT.
 */
export function createPaymentHandler({ writer, writes }: CreatePaymentOptions): RequestHandler {
  return async (req, res) => {
    const { amount: money, reference } = readPaymentBody(req.body)
    const { requestId } = res.locals
    // All ids are made before the first attempt. If its answer is lost, the next attempt recognises its own payment.
    const { payment, event } = createPayment({
      id: uuidv7(),
      merchantId: DEFAULT_MERCHANT_ID,
      reference,
      money,
      at: new Date(),
    })
    const created = { payment, event, requestId, messages: [createdMessage(event, { messageId: uuidv7(), requestId })] }
    const holder = await writes.run(res, (signal) => writer.write(created, signal))
    res.locals.paymentId = holder.paymentId
    if (holder.paymentId !== payment.id) throw takenProblem(holder)
    res.setHeader('Location', `${req.baseUrl}/${payment.id}`)
    sendJson(res, 201, paymentView(payment))
  }
}

function takenProblem({ paymentId, mismatch }: ReferenceHolder): Problem {
  if (mismatch.length === 0)
    return new Problem('duplicate-reference', 'A payment with this reference exists; payment_id names it.', {
      members: { payment_id: paymentId },
    })
  const detail = `The payment that has this reference differs in ${mismatch.join(' and ')}; payment_id names it.`
  return new Problem('reference-mismatch', detail, { members: { payment_id: paymentId, mismatch } })
}

export type PaymentWriter = ReturnType<typeof createPaymentWriter>

export interface PaymentWriterOptions {
  db: Kysely<Tables>
  notifier: Notifier
  /** Age at which a payment that is still PENDING is sent to a worker again, in milliseconds. */
  redriveAfterMs: number
}

/** Writes the payments of concurrent requests in one transaction. */
export function createPaymentWriter({ db, notifier, redriveAfterMs }: PaymentWriterOptions) {
  const group = createGroupCommit({
    async commit(batch: readonly PaymentInsert[]): Promise<ReferenceHolder[]> {
      // Payments, their events and their outbox messages are stored together, or not at all.
      const inserted = await db
        .transaction()
        .execute((tx) => insertPayments(onlyStatement(tx), batch, { redriveAfterMs }))
      return await findHolders(db, batch, inserted)
    },
    batchMax: BATCH_MAX,
    writersMax: WRITERS_MAX,
    aloneMax: WRITERS_ALONE_MAX,
  })
  return {
    /**
     * Stores a payment, its event and its message, or none of them if the reference is taken. Resolves after COMMIT with
     * the payment that has the reference. A repeated call with the same payment finds the payment that the first one stored.
     *
     * @throws the signal's reason, if it aborts before the payment is part of a batch
     */
    async write(created: PaymentInsert, signal: AbortSignal): Promise<ReferenceHolder> {
      const holder = await group.commit(created, signal)
      if (holder.paymentId === created.payment.id) notifier.notify()
      return holder
    },
  }
}
