import { createHash } from 'node:crypto'
import { isUuid } from '@cashflow/domain'
import {
  type DeadLetterFilter,
  findDeadLetter,
  listDeadLetterIds,
  listDeadLetters,
  requeueDeadLetter,
  resolveDeadLetter,
  type StoredDeadLetter,
} from '@cashflow/outbox'
import type { Kysely, Transaction } from 'kysely'
import { isParked, lockPayment, unparkPayment } from '../payments/parked.ts'
import { redriveUnreadable } from '../payments/redrive.ts'
import { BIGINT_MAX } from '../postgres/pages.ts'
import { isUnreadable, type LeftOut, leftOut, readPastDamage } from '../postgres/past-damage.ts'
import type { Tables } from '../tables.ts'
import { type NewAction, type Operator, recordAction } from './actions.ts'
import { type Done, orRefused, refused } from './done.ts'
import { findById } from './find-payments.ts'
import { CUT_MS } from './read-rows.ts'

const NO_SUCH_LETTER = 'No unresolved dead letter has this id.'

/** Lists unresolved dead letters, the oldest first, without those that PostgreSQL cannot read. */
export async function searchDeadLetters(
  db: Kysely<Tables>,
  filter: DeadLetterFilter,
): Promise<{ letters: readonly ListedDeadLetter[]; leftOut: readonly LeftOut[] }> {
  const { found } = await readPastDamage<ListedDeadLetter>({
    read: (ids, limit) => listDeadLetters(db, { ...filter, ids, limit }),
    placeOf: ({ id }) => BigInt(id),
    span: { after: -1n, to: BIGINT_MAX },
    ...{ limit: filter.limit, cutMs: CUT_MS },
  })
  return {
    letters: found.flatMap((part) => (isUnreadable(part) ? [] : part)),
    leftOut: found.filter(isUnreadable).map(({ at, error }) => leftOut(`dead letter ${at}`, error)),
  }
}

type ListedDeadLetter = Awaited<ReturnType<typeof listDeadLetters>>[number]

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
  return orRefused(
    { act: 'requeue', on: `dead letter ${id}, its payment` },
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
      if (!(await unparkPayment(tx, key))) return `${await whyNotParked(tx, key)} Discard this dead letter.`
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

async function whyNotParked(tx: Transaction<Tables>, paymentId: string): Promise<string> {
  const payment = isUuid(paymentId) ? await findById(tx, paymentId) : undefined
  if (!payment) return `No payment has the id ${paymentId}: it was never stored, or it was deleted.`
  return `Payment ${paymentId} ${payment.status === null ? 'was pruned' : 'is not parked'}.`
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
  return orRefused(
    { act: 'discard', on: `dead letter ${id}, its payment` },
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
