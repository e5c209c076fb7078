import { outcomeMessage, type Payment, type PaymentEvent } from '@cashflow/domain'
import { resolveDeadLettersOf } from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'
import type { Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import { settlePayments } from './settle.ts'

export interface LockedSettlement {
  /** The payment with its new status. */
  readonly payment: Payment
  readonly event: PaymentEvent
  readonly actor: 'api' | 'operator'
  readonly requestId: string | undefined
  /** What became of the payment's dead letters, such as `canceled`. */
  readonly resolution: string
}

/**
 * Settles a payment that `tx` has locked and that no worker holds: status, event and message, and its dead letters. It takes
 * the payment as a claim would, so a worker whose lease ran out finds another claim's token there, and is fenced.
 */
export async function settleLocked(
  tx: Transaction<Tables>,
  { payment, event, actor, requestId, resolution }: LockedSettlement,
): Promise<void> {
  const { id, status } = payment
  const token = uuidv7()
  await tx.updateTable('payments').set({ claim_token: token, parked_at: null }).where('id', '=', id).execute()
  const messages = [outcomeMessage(payment, event, { messageId: uuidv7(), requestId })]
  const [settled] = await settlePayments(tx, [{ payment, event, token, actor, requestId, messages }])
  if (settled !== status) throw new Error(`bug: payment ${id} is locked and was not settled`)
  for (const source of ['worker', 'database']) await resolveDeadLettersOf(tx, { source, key: id }, resolution)
}
