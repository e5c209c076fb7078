import {
  createGroupCommit,
  findHolders,
  insertPayments,
  lastStatement,
  type PaymentInsert,
  type ReferenceHolder,
  type Tables,
} from '@cashflow/db'
import { createdMessage, createPayment, DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import type { Notifier } from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'
import type { RequestHandler } from 'express'
import type { Kysely } from 'kysely'
import { answerJson } from '../answer-json.ts'
import { withWriteSlot } from '../in-turn.ts'
import { BATCH_MAX, WRITERS_ALONE_MAX, WRITERS_MAX } from '../limits.ts'
import { Problem } from '../problem.ts'
import { readPaymentBody } from './payment-body.ts'
import { paymentView } from './payment-view.ts'
import type { PaymentParts } from './routes.ts'

/** 201 promises that the payment will be settled, so it is sent only after COMMIT was answered. */
export function createPaymentHandler({ writer, writes }: Pick<PaymentParts, 'writer' | 'writes'>): RequestHandler {
  return async (req, res) => {
    const { amount: money, reference } = readPaymentBody(req.body)
    const { requestId } = res.locals
    // All ids are made before the first attempt: when its answer is lost, the next one finds its own payment.
    const { payment, event } = createPayment({
      id: uuidv7(),
      merchantId: DEFAULT_MERCHANT_ID,
      reference,
      money,
      at: new Date(),
    })
    const created = { payment, event, requestId, messages: [createdMessage(event, { messageId: uuidv7(), requestId })] }
    const holder = await withWriteSlot(writes, res, (signal) => writer.write(created, signal))
    res.locals.paymentId = holder.paymentId
    if (holder.paymentId !== payment.id) throw takenProblem(holder)
    res.setHeader('Location', `${req.baseUrl}/${payment.id}`)
    answerJson(res, 201, paymentView(payment))
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

export interface PaymentWriter {
  /**
   * Stores a payment, its event and its message, or none of them where the reference is taken. Answers after COMMIT, with
   * the payment that has the reference. Done again with the same payment, it finds what it did.
   *
   * @throws the signal's reason, when it has aborted before the payment's turn
   */
  write(created: PaymentInsert, signal: AbortSignal): Promise<ReferenceHolder>
}

export interface PaymentWriterOptions {
  db: Kysely<Tables>
  notifier: Notifier
  /** When a payment that is still PENDING is sent through the pipeline again. */
  redriveAfterMs: number
}

/** Requests that come at the same time share a transaction. */
export function createPaymentWriter({ db, notifier, redriveAfterMs }: PaymentWriterOptions): PaymentWriter {
  const group = createGroupCommit({
    async commit(batch: readonly PaymentInsert[]): Promise<ReferenceHolder[]> {
      // Payments, their events and their outbox messages are stored together, or not at all.
      const inserted = await db
        .transaction()
        .execute((tx) => insertPayments(lastStatement(tx), batch, { redriveAfterMs }))
      return await findHolders(db, batch, inserted)
    },
    batchMax: BATCH_MAX,
    writersMax: WRITERS_MAX,
    aloneMax: WRITERS_ALONE_MAX,
  })
  return {
    async write(created, signal) {
      const holder = await group.commit(created, signal)
      if (holder.paymentId === created.payment.id) notifier.notify()
      return holder
    },
  }
}
