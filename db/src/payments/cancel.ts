import { CANCELED, settlePayment } from '@cashflow/domain'
import { findUnresolvedDeadLetter } from '@cashflow/outbox'
import { type Kysely, sql } from 'kysely'
import { waitForStandby } from '../postgres/standby.ts'
import type { Tables } from '../tables.ts'
import { isOfMerchant } from './row.ts'
import { settleLocked } from './settle-locked.ts'
import { type PaymentName, type PaymentView, toView, VIEW } from './view.ts'

export type Canceled =
  /** By this call or by an earlier one. */
  | { readonly outcome: 'canceled'; readonly payment: PaymentView }
  /** The payment is settled, or the provider may have been asked for it. */
  | { readonly outcome: 'refused'; readonly payment: PaymentView }
  /** The merchant has no payment with this id. */
  | { readonly outcome: 'unknown' }

/**
 * Cancels a PENDING payment of a merchant that no attempt may have charged: FAILED with the code `canceled`, with event
 * and message like any settlement. A call is safe to repeat, also when the answer of an earlier one was lost.
 *
 * It judges the payment as it has locked it, so of a cancel and a claim one comes first, and the other one sees it.
 */
export function cancelPayment(
  db: Kysely<Tables>,
  {
    merchantId,
    id,
    requestId,
    traceparent,
  }: PaymentName & {
    readonly requestId: string
    readonly traceparent?: string | undefined
  },
): Promise<Canceled> {
  return db.transaction().execute(async (tx): Promise<Canceled> => {
    const row = await tx
      .selectFrom('payments')
      .select(VIEW)
      .select([NEVER_CHARGED.as('never_charged'), 'last_hash'])
      .where('id', '=', id)
      .where(isOfMerchant(sql.val(merchantId)))
      .forUpdate()
      .executeTakeFirst()
    if (!row) return { outcome: 'unknown' }
    const payment = toView(row)
    const settlement = settlePayment(payment, { outcome: 'declined', failureCode: CANCELED }, new Date())
    // A row that was unreadable may have been repaired from a backup of before a charge: see `redriveUnreadable`.
    const letter = await findUnresolvedDeadLetter(tx, { source: 'database', key: payment.id })
    const isCancelable = row.never_charged && letter === undefined
    if (!settlement.settled || !isCancelable) {
      await waitForStandby(tx) // An earlier call may have written what this one reads.
      return { outcome: payment.failureCode === CANCELED ? 'canceled' : 'refused', payment }
    }
    const by = { actor: 'api', requestId, traceparent, previousHash: row.last_hash } as const
    await settleLocked(tx, { ...settlement, ...by, resolution: CANCELED })
    return { outcome: 'canceled', payment: { ...payment, ...settlement.payment, waiting: null } }
  })
}

/**
 * True if no attempt may have charged the payment. An expired claim keeps its token: its worker may have died within the
 * charge. An operator's requeue leaves `attempts` at 1. A pending answer sets `attempts` to 0, but has its own column.
 */
const NEVER_CHARGED = sql<boolean>`claim_token is null and attempts = 0 and provider_pending_since is null`
