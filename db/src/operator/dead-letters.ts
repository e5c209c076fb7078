import { findDeadLetter, requeueDeadLetter, resolveDeadLetter } from '@cashflow/outbox'
import type { Kysely } from 'kysely'
import { isParked, unparkPayment } from '../payments/parked.ts'
import { redriveUnreadable } from '../payments/redrive.ts'
import { mayBeItemsOwn } from '../postgres/errors.ts'
import type { Tables } from '../tables.ts'

/** What came of an operator's command. */
export type Done = { readonly done: true } | { readonly done: false; readonly why: string }

const refused = (why: string): Done => ({ done: false, why })
const NOT_WAITING = 'No unresolved dead letter has this id.'

/** Sends what a dead letter stopped on its way again, its payment or its message, and resolves it. */
export async function requeue(db: Kysely<Tables>, id: string): Promise<Done> {
  try {
    return await requeueOnce(db, id)
  } catch (error) {
    if (!mayBeItemsOwn(error)) throw error
    const { code, message } = error as Error & { code?: string }
    return refused(`PostgreSQL cannot do this: ${code} ${message}. Repair what it names, then requeue this.`)
  }
}

function requeueOnce(db: Kysely<Tables>, id: string): Promise<Done> {
  return db.transaction().execute(async (tx) => {
    const letter = await findDeadLetter(tx, id)
    if (!letter || letter.resolution !== null) return refused(NOT_WAITING)
    switch (letter.source) {
      case 'outbox':
        return (await requeueDeadLetter(tx, id, 'requeued')) ? { done: true } : refused(NOT_WAITING)
      case 'worker':
        if (!(await unparkPayment(tx, letter.key))) return refused(`Payment ${letter.key} is not parked. Discard this.`)
        await resolveDeadLetter(tx, id, 'requeued')
        return { done: true }
      case 'database':
        if (!(await redriveUnreadable(tx, letter.key)))
          return refused(`Payment ${letter.key} is settled, parked or not there. Discard this.`)
        await resolveDeadLetter(tx, id, 'requeued')
        return { done: true }
      default:
        return refused('Nobody can read this message, so it would die again. Discard it.')
    }
  })
}

/**
 * Resolves a dead letter without doing anything about it. Refused for a parked payment, which would then wait where
 * nobody sees it.
 */
export function discard(db: Kysely<Tables>, id: string, reason: string): Promise<Done> {
  return db.transaction().execute(async (tx) => {
    const letter = await findDeadLetter(tx, id)
    if (!letter) return refused(NOT_WAITING)
    if (letter.source === 'worker' && (await isParked(tx, letter.key)))
      return refused(`Payment ${letter.key} waits for this. Requeue it, or settle the payment.`)
    return (await resolveDeadLetter(tx, id, `discarded: ${reason}`)) ? { done: true } : refused(NOT_WAITING)
  })
}
