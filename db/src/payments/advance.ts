import { appendMessages, type NewMessage } from '@cashflow/outbox'
import { type Kysely, sql } from 'kysely'
import type { Tables } from '../tables.ts'
import { recordAttempts } from './attempts.ts'
import { isOfMerchant } from './row.ts'
import { type PaymentName, type PaymentView, toView, VIEW, type Waiting } from './view.ts'

export type Advanced =
  /** What was scheduled for the payment is due now. */
  | { readonly outcome: 'advanced'; readonly payment: PaymentView }
  /** Nothing is scheduled for a settled payment. */
  | { readonly outcome: 'settled'; readonly payment: PaymentView }
  /** A worker has the payment, or it waits for an operator. */
  | { readonly outcome: 'refused'; readonly waiting: Waiting }
  /** The merchant has no payment with this id. */
  | { readonly outcome: 'unknown' }

/**
 * Makes due now what is scheduled for a PENDING payment of a merchant: its next attempt, its next look-up, or its redrive.
 * A lease that runs is left alone.
 *
 * @param message sends the payment to a worker. The one that was scheduled comes at its own time too, as a duplicate.
 */
export function advancePayment(
  db: Kysely<Tables>,
  { merchantId, id, message }: PaymentName & { readonly message: NewMessage },
): Promise<Advanced> {
  return db.transaction().execute(async (tx): Promise<Advanced> => {
    const isMerchants = isOfMerchant(sql.val(merchantId))
    const payments = tx.selectFrom('payments').select(VIEW).where('id', '=', id).where(isMerchants)
    const row = await payments.select('attempts').forUpdate().executeTakeFirst()
    if (!row) return { outcome: 'unknown' }
    const payment = toView(row)
    const { waiting } = payment
    if (!waiting) return { outcome: 'settled', payment }
    if (waiting.for === 'provider' || waiting.for === 'operator') return { outcome: 'refused', waiting }
    await tx
      .updateTable('payments')
      .set({ lease_until: sql<Date | null>`case when lease_until > now() then now() else lease_until end` }) // The builder's CASE reads worse.
      .where('id', '=', id)
      .where(isMerchants)
      .execute()
    await appendMessages(tx, [message])
    const { attempts } = row
    const data = { reason: 'a request to advance it' }
    await recordAttempts(tx, [{ paymentId: payment.id, kind: 'redriven', actor: 'api', attempts, data }])
    return { outcome: 'advanced', payment: toView(await payments.executeTakeFirstOrThrow()) }
  })
}
