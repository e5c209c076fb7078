import { COUNTED_MAX } from '@cashflow/outbox'
import { type Kysely, sql } from 'kysely'
import { WAITING_FOR, type Waiting } from '../payments/view.ts'
import type { Tables } from '../tables.ts'

/** Payments that are looked at one by one: those whose redrive is earliest. */
const HEAD_MAX = 1_000

export const WAITING_FORS = [
  'queue',
  'provider',
  'worker',
  'retry',
  'pending',
  'operator',
] as const satisfies Waiting['for'][]
export const AGES = ['under_1m', '1m_to_10m', '10m_to_1h', 'over_1h'] as const

/** Facts about the PENDING payments. */
export interface PendingFacts {
  /** Number of PENDING payments, parked ones too. One more than 10,000 if there are more. */
  readonly pending: number
  /** Number of parked payments. One more than 10,000 if there are more. */
  readonly parked: number
  /** Time that the earliest redrive is overdue, in milliseconds. */
  readonly overdueMs: number
  /** The 1,000 PENDING payments whose redrive is earliest, by what they wait for. */
  readonly byWaitingFor: ReadonlyMap<Waiting['for'], number>
  /** The same payments by age, without parked ones. */
  readonly byAge: ReadonlyMap<(typeof AGES)[number], number>
  /** Age of the oldest of them, without parked ones, in milliseconds. */
  readonly oldestMs: number
}

/** Reads the facts about PENDING payments, from the index of their redrives. Parked ones have none, and come last. */
export async function readPending(db: Kysely<Tables>): Promise<PendingFacts> {
  const { pending, parked } = await counts(db)
  const rows = await head(db)
  const unparked = rows.filter(({ waiting_for }) => waiting_for !== 'operator')
  return {
    pending,
    parked,
    overdueMs: Math.max(0, ...unparked.map(({ overdue_ms }) => overdue_ms ?? 0)),
    byWaitingFor: sums(rows, ({ waiting_for }) => waiting_for),
    byAge: sums(unparked, ({ age }) => age),
    oldestMs: Math.max(0, ...unparked.map(({ oldest_ms }) => oldest_ms)),
  }
}

// As `sql` in this file: the builder's CASE reads worse, and it has no intervals and no EXTRACT. Status is a literal: for a
// parameter the planner cannot know that the partial index on `redrive_at` has all the rows. Limits are parameters: a session
// keeps the plan of a statement that has parameters.
const msSince = (column: string) =>
  sql<number>`extract(epoch from clock_timestamp() - min(${sql.ref(column)}))::float8 * 1000`

async function counts(db: Kysely<Tables>): Promise<{ pending: number; parked: number }> {
  const pending = db
    .selectFrom('payments')
    .select('redrive_at')
    .where('status', '=', sql.lit('PENDING'))
    .orderBy('redrive_at')
    .limit(COUNTED_MAX + 1)
  const count = sql<number>`count(*)::int`
  return await db
    .selectNoFrom((eb) => [
      eb.selectFrom(pending.as('p')).select(count.as('n')).$asScalar().$notNull().as('pending'),
      eb
        .selectFrom(pending.where('redrive_at', 'is', null).as('p'))
        .select(count.as('n'))
        .$asScalar()
        .$notNull()
        .as('parked'),
    ])
    .executeTakeFirstOrThrow()
}

async function head(db: Kysely<Tables>) {
  const age = sql<(typeof AGES)[number]>`case
    when created_at > now() - interval '1 minute' then 'under_1m'
    when created_at > now() - interval '10 minutes' then '1m_to_10m'
    when created_at > now() - interval '1 hour' then '10m_to_1h'
    else 'over_1h'
  end`
  const earliest = db
    .selectFrom('payments')
    .select(['created_at', 'redrive_at', WAITING_FOR.$castTo<Waiting['for']>().as('waiting_for'), age.as('age')])
    .where('status', '=', sql.lit('PENDING'))
    .orderBy('redrive_at')
    .limit(HEAD_MAX)
  return await db
    .selectFrom(earliest.as('p'))
    .select(['p.waiting_for', 'p.age', sql<number>`count(*)::int`.as('payments')])
    .select([
      msSince('p.created_at').as('oldest_ms'),
      msSince('p.redrive_at').$castTo<number | null>().as('overdue_ms'),
    ])
    .groupBy(['p.waiting_for', 'p.age'])
    .execute()
}

function sums<Row extends { payments: number }, Key>(rows: readonly Row[], keyOf: (row: Row) => Key): Map<Key, number> {
  const groups = [...Map.groupBy(rows, keyOf)]
  return new Map(groups.map(([key, own]) => [key, own.reduce((sum, { payments }) => sum + payments, 0)]))
}
