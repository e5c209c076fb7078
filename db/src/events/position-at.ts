import type { Kysely } from 'kysely'
import type { Tables } from '../tables.ts'

/** A place in the order (xid, id) of the events. */
export interface FeedPosition {
  /** An xid8 and a bigint, as text. */
  readonly xid: string
  readonly id: string
}

/** Events that must all be older before the search goes on behind them: one late event then misleads it no more. */
const SPAN = 100

/** The place before all events. */
export const FIRST: FeedPosition = { xid: '0', id: '0' }

/**
 * Finds a place in the feed before which every event was stored before `time`, up to the clocks and delays of services. Ids
 * follow the time of storage in every restored copy, so it halves the ids. It reads about 100 events for each halving, of
 * all merchants.
 */
export async function findPositionAt(db: Kysely<Tables>, time: Date): Promise<FeedPosition> {
  let older = 0n
  let newer = await lastId(db)
  while (newer - older > 1n) {
    const middle = (older + newer) / 2n
    if (await isOlder(db, middle, time)) older = middle
    else newer = middle
  }
  if (older === 0n) return FIRST
  const event = db.selectFrom('payment_events').select(['xid', 'id']).where('id', '>=', older.toString())
  return (await event.orderBy('id').limit(1).executeTakeFirst()) ?? FIRST
}

async function lastId(db: Kysely<Tables>): Promise<bigint> {
  const row = await db.selectFrom('payment_events').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst()
  return BigInt(row?.id ?? 0) + 1n
}

/** True if the events from this id on, as many as a span has, are all older. */
async function isOlder(db: Kysely<Tables>, id: bigint, time: Date): Promise<boolean> {
  const { is_older } = await db
    .selectFrom((eb) =>
      eb
        .selectFrom('payment_events')
        .select('created_at')
        .where('id', '>=', id.toString())
        .orderBy('id')
        .limit(SPAN)
        .as('span'),
    )
    .select((eb) => eb(eb.fn.max('created_at'), '<', time).as('is_older'))
    .executeTakeFirstOrThrow()
  return is_older === true
}
