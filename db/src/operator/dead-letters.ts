import { findDeadLetter, requeueDeadLetter, resolveDeadLetter } from '@cashflow/outbox'
import type { Kysely } from 'kysely'
import { isParked, unparkPayment } from '../payments/parked.ts'
import { redriveUnreadable } from '../payments/redrive.ts'
import { mayBeItemsOwn } from '../postgres/errors.ts'
import type { Tables } from '../tables.ts'

/** The result of an operator's command, with its `Facts`. `why` tells the operator what prevented it. */
export type Done<Facts = object> = ({ readonly done: true } & Facts) | { readonly done: false; readonly why: string }

const refused = (why: string): Done => ({ done: false, why })
const NO_SUCH_LETTER = 'No unresolved dead letter has this id.'

/** Resolves a dead letter, and lets its payment or its message continue: a payment is redriven, a message published. */
export async function requeue(db: Kysely<Tables>, id: string): Promise<Done> {
  try {
    return await requeueOnce(db, id)
  } catch (error) {
    if (!mayBeItemsOwn(error)) throw error
    const { code, message } = error as Error & { code?: string }
    return refused(
      `PostgreSQL cannot read or write this payment: ${code} ${message}. Repair what the error names, then requeue again.`,
    )
  }
}

function requeueOnce(db: Kysely<Tables>, id: string): Promise<Done> {
  return db.transaction().execute(async (tx) => {
    const letter = await findDeadLetter(tx, id)
    if (!letter || letter.resolution !== null) return refused(NO_SUCH_LETTER)
    switch (letter.source) {
      case 'outbox':
        return (await requeueDeadLetter(tx, id, 'requeued')) ? { done: true } : refused(NO_SUCH_LETTER)
      case 'worker':
        if (!(await unparkPayment(tx, letter.key)))
          return refused(`Payment ${letter.key} is not parked. Discard this dead letter.`)
        await resolveDeadLetter(tx, id, 'requeued')
        return { done: true }
      case 'database':
        if (!(await redriveUnreadable(tx, letter.key)))
          return refused(`Payment ${letter.key} is settled, parked or does not exist. Discard this dead letter.`)
        await resolveDeadLetter(tx, id, 'requeued')
        return { done: true }
      default:
        return refused('No worker can read this message, so it would become a dead letter again. Discard it.')
    }
  })
}

/**
 * Resolves a dead letter, and does nothing else. Refused for the letter of a parked payment: without its letter, no list
 * would show that payment any more.
 */
export function discard(db: Kysely<Tables>, id: string, reason: string): Promise<Done> {
  return db.transaction().execute(async (tx) => {
    const letter = await findDeadLetter(tx, id)
    if (!letter) return refused(NO_SUCH_LETTER)
    if (letter.source === 'worker' && (await isParked(tx, letter.key)))
      return refused(`Payment ${letter.key} is parked. Requeue this dead letter, or settle the payment.`)
    return (await resolveDeadLetter(tx, id, `discarded: ${reason}`)) ? { done: true } : refused(NO_SUCH_LETTER)
  })
}
