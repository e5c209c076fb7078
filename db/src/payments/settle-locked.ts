import { outcomeMessage, type Payment, type PaymentEvent } from '@cashflow/domain'
import { resolveDeadLettersOf } from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'
import { sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import { isOfMerchant } from './row.ts'
import { settlePayments } from './settle.ts'

export interface LockedSettlement {
  /** The payment with its new status. */
  readonly payment: Payment
  readonly event: PaymentEvent
  readonly actor: 'api' | 'operator'
  readonly requestId: string | undefined
  /** The place in a trace that the settlement belongs to. */
  readonly traceparent?: string | undefined
  /** The payment's `last_hash`, as it was locked. */
  readonly previousHash: Buffer | null
  /** How the event came about, for operators. */
  readonly trace?: object | undefined
  /** What became of the payment's dead letters, such as `canceled`. */
  readonly resolution: string
}

/**
 * Settles a payment that `tx` has locked and that no worker holds: status, event and message, and its dead letters. It takes
 * the payment as a claim would, so a worker whose lease ran out finds another claim's token there, and is fenced.
 */
export async function settleLocked(
  tx: Transaction<Tables>,
  { payment, resolution, traceparent, ...settlement }: LockedSettlement,
): Promise<void> {
  const { id, merchantId, status } = payment
  const token = uuidv7()
  await tx
    .updateTable('payments')
    .set({ claim_token: token, parked_at: null })
    .where('id', '=', id)
    .where(isOfMerchant(sql.val(merchantId)))
    .execute()
  const { event, requestId } = settlement
  const messages = [outcomeMessage(payment, event, { messageId: uuidv7(), requestId, traceparent })]
  const [settled] = await settlePayments(tx, [{ ...settlement, payment, token, messages }])
  if (settled !== status) throw new Error(`bug: payment ${id} is locked and was not settled`)
  for (const source of ['worker', 'database']) await resolveDeadLettersOf(tx, { source, key: id }, resolution)
}
