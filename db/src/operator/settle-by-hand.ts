import { type Outcome, settlePayment } from '@cashflow/domain'
import type { Kysely } from 'kysely'
import { lockPayment } from '../payments/parked.ts'
import { settleLocked } from '../payments/settle-locked.ts'
import type { Tables } from '../tables.ts'
import { type Operator, recordAction } from './actions.ts'
import { type Done, orRefused, refused } from './done.ts'

/**
 * Settles a PENDING payment with the outcome that the operator knows. One transaction writes its status, event and message,
 * and resolves its dead letters. Refused if the payment is settled, and while a worker holds it: the provider's answer may
 * be on its way.
 */
export function settleByHand(
  db: Kysely<Tables>,
  { paymentId, outcome, reason, by }: { paymentId: string; outcome: Outcome; reason: string; by: Operator },
): Promise<Done> {
  return orRefused(
    { act: 'settle', on: `payment ${paymentId}` },
    db.transaction().execute(async (tx): Promise<Done> => {
      const locked = await lockPayment(tx, paymentId)
      if (!locked) return refused('No payment has this id.')
      const settlement = settlePayment(locked.payment, outcome, new Date())
      if (!settlement.settled) return refused(`The payment is ${settlement.status} already.`)
      if (locked.leased) return refused('A worker is processing the payment. Try again in a minute.')
      const { payment, event } = settlement
      await settleLocked(tx, {
        payment,
        event: { ...event, data: { ...event.data, reason } },
        actor: 'operator',
        requestId: undefined,
        previousHash: locked.lastHash,
        trace: { actor: by.actor, via: by.via },
        resolution: `settled as ${payment.status}: ${reason}`,
      })
      await recordAction(tx, by, {
        action: 'payments settle',
        target: payment.id,
        reason,
        before: { status: locked.payment.status },
        after: { status: payment.status, failure_code: payment.failureCode },
      })
      return { done: true }
    }),
  )
}
