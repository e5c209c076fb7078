import { type Kysely, sql } from 'kysely'
import { recordSet } from '../statement.ts'
import type { Tables } from '../tables.ts'

/** Requests with one key since a process last reported them. */
export interface RateLimitUse {
  /** Id of an API key, or the client's address. */
  readonly key: string
  /** Number of accepted requests. */
  readonly used: number
  /** Number of requests, accepted or not, at least 1. */
  readonly offered: number
}

/** What all processes together have left for a key. */
export interface RateLimitLevel {
  readonly key: string
  /** Number of requests that may be accepted now. Negative where too many were. */
  readonly level: number
  /** Requests of all processes in the last seconds. It falls by the factor e each second. */
  readonly demand: number
}

export interface RateLimitBucket {
  /** Requests a second. */
  readonly limit: number
  /** Largest level. */
  readonly burst: number
  /** Largest debt: no level is below minus this. */
  readonly debtMax: number
}

const use = recordSet('use', { key: 'text', used: 'int', offered: 'int' })

/**
 * Takes requests from the buckets of their keys, which refill by `limit` a second of the database's clock. A key without a
 * row has a full bucket.
 *
 * The transaction does not wait for the disk: a lost row is a full bucket. Rows are locked in the order of their keys, so
 * that processes do not deadlock.
 */
export async function reportUse(
  db: Kysely<Tables>,
  uses: readonly RateLimitUse[],
  { limit, burst, debtMax }: RateLimitBucket,
): Promise<RateLimitLevel[]> {
  // As `sql`: the builder has no intervals, and its form of this arithmetic reads worse. A clock that went back adds nothing.
  const elapsedS = sql<number>`greatest(0, date_part('epoch', clock_timestamp() - rate_limits.updated_at))`
  const refilled = sql<number>`least(${burst}::float8, rate_limits.level + ${limit}::float8 * ${elapsedS})`
  return await db
    .with('unsynchronised', (qb) =>
      qb.selectNoFrom(({ fn, val, lit }) =>
        fn<string>('set_config', [val('synchronous_commit'), val('off'), lit(true)]).as('synchronous_commit'),
      ),
    )
    .insertInto('rate_limits')
    .columns(['key', 'level', 'demand'])
    .expression((eb) =>
      eb
        .selectFrom(use.from(eb.val(use.json(uses))))
        .innerJoin('unsynchronised', (join) => join.onTrue()) // Read, because PostgreSQL skips a query whose result is not read.
        .select(['use.key', sql<number>`${burst}::float8 - use.used`.as('level'), 'use.offered as demand'])
        .orderBy('use.key', (order) => order.collate('C')),
    )
    .onConflict((conflict) =>
      conflict.column('key').doUpdateSet({
        level: sql<number>`greatest(-${debtMax}::float8, ${refilled} + excluded.level - ${burst}::float8)`,
        // Below e^-100 PostgreSQL reports an underflow.
        demand: sql<number>`rate_limits.demand * exp(-least(100, ${elapsedS})) + excluded.demand`,
        updated_at: sql<Date>`clock_timestamp()`,
      }),
    )
    .returning(['key', 'level', 'demand'])
    .execute()
}
