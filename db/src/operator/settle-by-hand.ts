import { type Outcome, settlePayment } from '@cashflow/domain'
import type { Kysely } from 'kysely'
import { lockPayment } from '../payments/parked.ts'
import { settleLocked } from '../payments/settle-locked.ts'
import type { Tables } from '../tables.ts'
import type { Done } from './dead-letters.ts'

/**
 * Settles a PENDING payment with the outcome that the operator knows. One transaction writes its status, event and message,
 * and resolves its dead letters. Refused if the payment is settled, and while a worker holds it: the provider's answer may
 * be on its way.
 */
export function settleByHand(
  db: Kysely<Tables>,
  { paymentId, outcome, reason }: { paymentId: string; outcome: Outcome; reason: string },
): Promise<Done> {
  return db.transaction().execute(async (tx): Promise<Done> => {
    const locked = await lockPayment(tx, paymentId)
    if (!locked) return { done: false, why: 'No payment has this id.' }
    const settlement = settlePayment(locked.payment, outcome, new Date())
    if (!settlement.settled) return { done: false, why: `The payment is ${settlement.status} already.` }
    if (locked.leased) return { done: false, why: 'A worker is processing the payment. Try again in a minute.' }
    const { payment, event } = settlement
    await settleLocked(tx, {
      payment,
      event: { ...event, data: { ...event.data, reason } },
      actor: 'operator',
      requestId: undefined,
      resolution: `settled as ${payment.status}: ${reason}`,
    })
    return { done: true }
  })
}
