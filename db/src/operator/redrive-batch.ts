import { COUNTED_MAX, nowMicros, type TimeSpan } from '@cashflow/outbox'
import { type Kysely, type SqlBool, sql, type Transaction } from 'kysely'
import { fromNow } from '../payments/row.ts'
import { mayBeItemsOwn } from '../postgres/errors.ts'
import type { Tables } from '../tables.ts'
import { REDRIVE, type Redriving, redriveLocked, refusedByPause } from './redrive-by-hand.ts'

/** Payments that one batch looks at. */
const BATCH_MAX = 100

/** A place in the order of redrives. */
export interface RedrivePlace {
  /** In microseconds since 1970. */
  readonly redriveMicros: number
  readonly id: string
}

export interface RedriveBatch {
  /** Payments whose redrive is due now, or would be. */
  readonly redriven: number
  /** Payments that a worker holds. */
  readonly leased: number
  /** Payments that wait for their next attempt. */
  readonly waiting: number
  /** Payments that another session has locked. */
  readonly locked: number
  /** Why nothing was done: a pause, or PostgreSQL's error about a row that it cannot read or write. */
  readonly why?: string
  /** True if payments were left out because of such a row. */
  readonly isDamaged?: true
  /** Where the next batch continues. Undefined after the last one. */
  readonly next?: RedrivePlace | undefined
}

const NOTHING: RedriveBatch = { redriven: 0, leased: 0, waiting: 0, locked: 0 }

interface BatchOptions extends Redriving {
  /** Start of the run, in microseconds since 1970 by PostgreSQL's clock. What was redriven since is not redriven again. */
  readonly startedMicros: number
  /** Where the batch before has ended. */
  readonly after?: RedrivePlace | undefined
  /** Minimum age of a payment, in milliseconds. */
  readonly pendingOverMs: number
  /** The most payments to redrive. */
  readonly redriveMax: number
  /** Whether to change and lock nothing. */
  readonly isDryRun: boolean
}

/**
 * Looks at the next 100 payments whose redrive is not due yet, in the order of their redrives. Makes the redrive of those
 * due that have been PENDING for too long, that no worker holds, and that do not wait for their next attempt. Locked rows
 * are skipped. Nothing is done during a pause. If PostgreSQL cannot use the row of one of them, the batch gets smaller, down
 * to that payment, which is left out.
 */
export async function redriveBatch(db: Kysely<Tables>, options: BatchOptions): Promise<RedriveBatch> {
  let damage: unknown
  for (const batchSize of [BATCH_MAX, 10, 1]) {
    try {
      return await db.transaction().execute((tx) => redriveHead(tx, batchSize, options))
    } catch (error) {
      if (!mayBeItemsOwn(error)) throw error
      damage = error
    }
  }
  const { code, message } = damage as Error & { code?: string }
  return { ...NOTHING, why: `${code} ${message}`, isDamaged: true, next: await pastDamage(db, options.after) }
}

async function redriveHead(
  tx: Transaction<Tables>,
  batchSize: number,
  { after, startedMicros, pendingOverMs, redriveMax, isDryRun, ...redriving }: BatchOptions,
): Promise<RedriveBatch> {
  const paused = await refusedByPause(tx)
  if (paused !== undefined) return { ...NOTHING, why: paused }
  const head = await readHead(tx, after, batchSize)
  const last = head.at(-1)
  if (!last) return NOTHING
  const ids = head.map(({ id }) => id)
  const rows = await judged(tx, ids, { startedMicros, pendingOverMs, isDryRun })
  const free = rows.filter(({ verdict }) => verdict === 'free').slice(0, redriveMax)
  if (!isDryRun) await redriveLocked(tx, free, redriving)
  return {
    redriven: free.length,
    leased: rows.filter(({ verdict }) => verdict === 'leased').length,
    waiting: rows.filter(({ verdict }) => verdict === 'waiting').length,
    locked: ids.length - rows.length,
    next: head.length === batchSize ? placeOf(last) : undefined,
  }
}

/**
 * Returns the place of the next payment after a place, which PostgreSQL cannot read or write. If its time cannot be read, it
 * is found by halving: a span of time is empty, or cannot be read. Payments that share its microsecond are left out too.
 */
async function pastDamage(db: Kysely<Tables>, after: RedrivePlace | undefined): Promise<RedrivePlace | undefined> {
  try {
    const [row] = await readHead(db, after, 1)
    return row && placeOf(row)
  } catch (error) {
    if (!mayBeItemsOwn(error)) throw error
  }
  let low = after?.redriveMicros ?? (await nowMicros(db))
  let high = low + YEAR_MICROS
  if (await isReadable(db, { from: low, to: high })) return { redriveMicros: low + 1, id: FIRST_ID }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (await isReadable(db, { from: low, to: middle })) low = middle
    else high = middle
  }
  return { redriveMicros: high + 1, id: FIRST_ID }
}

const YEAR_MICROS = 366 * 86_400_000_000
const FIRST_ID = '00000000-0000-0000-0000-000000000000'

async function isReadable(db: Kysely<Tables>, { from, to }: TimeSpan): Promise<boolean> {
  const read = pending(db)
    .select('id')
    .where('redrive_at', '>', timeOf(from))
    .where('redrive_at', '<=', timeOf(to))
    .limit(1)
  try {
    await read.execute()
    return true
  } catch (error) {
    if (!mayBeItemsOwn(error)) throw error
    return false
  }
}

/**
 * Counts the payments that have been PENDING for too long and whose redrive is due already. Workers redrive them, if any
 * runs. At most 10,000 payments are looked at. Returns null if PostgreSQL cannot read one of them.
 */
export async function countDue(
  db: Kysely<Tables>,
  { pendingOverMs }: { pendingOverMs: number },
): Promise<number | null> {
  const due = pending(db)
    .select('created_at')
    .where('redrive_at', '<=', (eb) => eb.fn<Date>('now'))
    .limit(COUNTED_MAX)
  const count = db
    .selectFrom(due.as('due'))
    .select(sql<number>`count(*)::int`.as('payments'))
    .where('due.created_at', '<=', fromNow(-pendingOverMs))
  try {
    return (await count.executeTakeFirstOrThrow()).payments
  } catch (error) {
    if (!mayBeItemsOwn(error)) throw error
    return null
  }
}

function readHead(db: Kysely<Tables>, after: RedrivePlace | undefined, batchSize: number) {
  return (
    pending(db)
      .select(['id', sql<string>`(extract(epoch from redrive_at) * 1000000)::bigint`.as('micros')])
      .where('redrive_at', '>', (eb) => eb.fn<Date>('now'))
      .where('redrive_at', '<', sql<Date>`'infinity'`) // It has no microseconds.
      .$if(after !== undefined, (rest) => {
        const { redriveMicros = 0, id = '' } = after ?? {}
        const time = timeOf(redriveMicros)
        return rest.where('redrive_at', '>=', time).where(sql<SqlBool>`(redrive_at, id) > (${time}, ${id}::uuid)`)
      })
      // To sort by the id too, PostgreSQL reads a row more than it returns. That one may be damaged.
      .$if(batchSize > 1, (rest) => rest.orderBy('id'))
      .limit(batchSize)
      .execute()
  )
}

function placeOf({ micros, id }: { micros: string; id: string }): RedrivePlace {
  return { redriveMicros: Number(micros), id }
}

/** Status is a literal: for a parameter the planner cannot know that the partial index on `redrive_at` has all the rows. */
function pending(db: Kysely<Tables>) {
  return db.selectFrom('payments').where('status', '=', sql.lit('PENDING')).orderBy('redrive_at')
}

function timeOf(micros: number) {
  return sql<Date>`timestamptz 'epoch' + ${micros}::bigint * interval '1 microsecond'` // The builder has no intervals.
}

/**
 * Locks first and judges after. A condition in the locking select would be judged by the version before the lock. `waiting`
 * are payments in front of their next attempt, `other` those that nothing is to be done for.
 */
function judged(
  tx: Transaction<Tables>,
  ids: readonly string[],
  { startedMicros, pendingOverMs, isDryRun }: Pick<BatchOptions, 'startedMicros' | 'pendingOverMs' | 'isDryRun'>,
) {
  const isRedriven = sql<boolean>`exists (
    select from operator_actions
    where target = locked.id::text and action = 'redrive' and at >= ${timeOf(startedMicros)}
  )`
  const verdict = sql<'free' | 'leased' | 'waiting' | 'other'>`case
    when status <> 'PENDING' or parked_at is not null or redrive_at <= now() then 'other'
    when created_at > ${fromNow(-pendingOverMs)} then 'other'
    when lease_until > now() then case when claim_token is null then 'waiting' else 'leased' end
    when ${isRedriven} then 'other'
    else 'free'
  end`
  return tx
    .with(
      (cte) => cte('locked').materialized(),
      (qb) =>
        qb
          .selectFrom('payments')
          .select([...REDRIVE, 'status', 'parked_at', 'created_at', 'claim_token'])
          .where('id', '=', sql<string>`any(${ids}::uuid[])`) // The builder has no ANY.
          .$if(!isDryRun, (locking) => locking.forUpdate().skipLocked()),
    )
    .selectFrom('locked')
    .select([...REDRIVE, verdict.as('verdict')])
    .orderBy('redrive_at')
    .execute()
}
