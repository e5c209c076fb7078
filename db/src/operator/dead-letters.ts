import { createHash } from 'node:crypto'
import { isUuid } from '@cashflow/domain'
import {
  type DeadLetterFilter,
  findDeadLetter,
  listDeadLetterIds,
  requeueDeadLetter,
  resolveDeadLetter,
  type StoredDeadLetter,
} from '@cashflow/outbox'
import type { Kysely, Transaction } from 'kysely'
import { isParked, lockPayment, unparkPayment } from '../payments/parked.ts'
import { redriveUnreadable } from '../payments/redrive.ts'
import { mayBeItemsOwn } from '../postgres/errors.ts'
import type { Tables } from '../tables.ts'
import { type NewAction, type Operator, recordAction } from './actions.ts'
import { type Done, refused, refusedIfLocked } from './done.ts'

const NO_SUCH_LETTER = 'No unresolved dead letter has this id.'

/** Dead letters that a filter selects. */
export interface Selection {
  readonly ids: readonly string[]
  /** Hash of the ids. It tells whether two selections are the same. */
  readonly hash: string
  /** True if the filter selects more than the limit allows. */
  readonly hasMore: boolean
}

/** Selects unresolved dead letters, the oldest first. */
export async function selectDeadLetters(
  db: Kysely<Tables>,
  { limit, ...filter }: DeadLetterFilter,
): Promise<Selection> {
  const found = await listDeadLetterIds(db, { ...filter, limit: limit + 1 })
  const ids = found.slice(0, limit)
  const hash = createHash('sha256').update(ids.join('\n')).digest('hex').slice(0, 16)
  return { ids, hash, hasMore: found.length > limit }
}

export interface Resolving {
  readonly by: Operator
  readonly reason?: string | undefined
}

/** Resolves a dead letter, and lets its payment or its message continue: a payment is redriven, a message published. */
export function requeue(db: Kysely<Tables>, id: string, { by, reason }: Resolving): Promise<Done> {
  return refusedIfUnusable(
    'requeue',
    db.transaction().execute(async (tx) => {
      const letter = await lockLetter(tx, id, ['worker', 'database'])
      if (!letter) return refused(NO_SUCH_LETTER)
      const why = await requeueLocked(tx, letter)
      if (why !== undefined) return refused(why)
      await recordAction(
        tx,
        by,
        actionOn(letter, { action: 'dead requeue', reason, after: { resolution: 'requeued' } }),
      )
      return { done: true }
    }),
  )
}

/** Replaces the error of an act whose payment is locked by another session, or that PostgreSQL cannot read or write. */
async function refusedIfUnusable(name: 'requeue' | 'discard', act: Promise<Done>): Promise<Done> {
  try {
    return await refusedIfLocked(act)
  } catch (error) {
    if (!mayBeItemsOwn(error)) throw error
    const { code, message } = error as Error & { code?: string }
    return refused(
      `PostgreSQL cannot read or write this payment: ${code} ${message}. Repair what the error names, then ${name} again.`,
    )
  }
}

/** Returns why a locked dead letter was not requeued. */
async function requeueLocked(
  tx: Transaction<Tables>,
  { id, source, key }: StoredDeadLetter,
): Promise<string | undefined> {
  switch (source) {
    case 'outbox':
      await requeueDeadLetter(tx, id, 'requeued')
      return undefined
    case 'worker':
      if (!(await unparkPayment(tx, key))) return `Payment ${key} is not parked. Discard this dead letter.`
      await resolveDeadLetter(tx, id, 'requeued')
      return undefined
    case 'database':
      if (!(await redriveUnreadable(tx, key)))
        return `Payment ${key} is settled, parked or does not exist. Discard this dead letter.`
      await resolveDeadLetter(tx, id, 'requeued')
      return undefined
    default:
      return 'No worker can read this message, so it would become a dead letter again. Discard it.'
  }
}

/**
 * Resolves a dead letter, and does nothing else. Refused for the letter of a parked payment: without its letter, no list
 * would show that payment any more.
 */
export function discard(
  db: Kysely<Tables>,
  id: string,
  { by, reason }: Resolving & { readonly reason: string },
): Promise<Done> {
  return refusedIfUnusable(
    'discard',
    db.transaction().execute(async (tx) => {
      // The letter of an unreadable payment is discarded without reading the payment.
      const letter = await lockLetter(tx, id, ['worker'])
      if (!letter) return refused(NO_SUCH_LETTER)
      if (letter.source === 'worker' && (await isParked(tx, letter.key)))
        return refused(`Payment ${letter.key} is parked. Requeue this dead letter, or settle the payment.`)
      const resolution = `discarded: ${reason}`
      await resolveDeadLetter(tx, id, resolution)
      await recordAction(tx, by, actionOn(letter, { action: 'dead discard', reason, after: { resolution } }))
      return { done: true }
    }),
  )
}

/**
 * Locks an unresolved dead letter. If it is of one of these sources, its payment is locked first, and stays as it is judged
 * here. A worker that parks it, and an operator who settles it, lock in the same order, so there is no deadlock.
 */
async function lockLetter(
  tx: Transaction<Tables>,
  id: string,
  sources: readonly string[],
): Promise<StoredDeadLetter | undefined> {
  const found = await findDeadLetter(tx, id)
  if (found && sources.includes(found.source)) await lockPayment(tx, found.key)
  const letter = await findDeadLetter(tx, id, { forUpdate: true })
  return letter?.resolution === null ? letter : undefined
}

function actionOn(
  { id, source, topic, key, reason, diedAt }: StoredDeadLetter,
  more: Omit<NewAction, 'target' | 'before'>,
): NewAction {
  const isAboutPayment = source !== 'queue' && isUuid(key)
  return {
    ...more,
    target: isAboutPayment ? key : id,
    before: { dead_letter: id, source, topic, key, reason, died_at: diedAt },
  }
}
