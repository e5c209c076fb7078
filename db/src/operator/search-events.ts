import { type Kysely, type SqlBool, sql } from 'kysely'
import type { Tables } from '../tables.ts'
import type { Done } from './done.ts'

/** Names an event, as its public id does. */
export interface EventName {
  readonly paymentId: string
  readonly sequence: number
}

export interface EventSearch {
  readonly merchantId?: string | undefined
  readonly paymentId?: string | undefined
  /** The last event of the page before. */
  readonly after?: EventName | undefined
  readonly limit: number
}

/** An event as an operator sees it. */
export interface SeenEvent extends EventName {
  readonly merchantId: string
  readonly type: string
  readonly data: unknown
  readonly actor: string
  readonly requestId: string | null
  readonly createdAt: Date
}

/**
 * Lists events in pages, the newest first, those of a payment in the order of their sequence. It reads no more rows than it
 * returns. An event of a transaction that commits late may be missing from a page that was read before: the feed of the
 * API skips none.
 */
export async function searchEvents(
  db: Kysely<Tables>,
  { merchantId, paymentId, after, limit }: EventSearch,
): Promise<Done<{ readonly events: readonly SeenEvent[] }>> {
  const place = after && (await placeOf(db, after))
  if (after && !place) return { done: false, why: 'No event has the id of --after.' }
  let events = db
    .selectFrom('payment_events')
    .select(['payment_id', 'sequence', 'merchant_id', 'type', 'data', 'actor', 'request_id', 'created_at'])
    .limit(limit)
  if (paymentId !== undefined) {
    events = events.where('payment_id', '=', paymentId).orderBy('sequence')
    if (after) events = events.where('sequence', '>', after.sequence)
  } else if (merchantId !== undefined) {
    events = events.where('merchant_id', '=', merchantId).orderBy('xid', 'desc').orderBy('id', 'desc')
    // As `sql`: the builder has no row comparison.
    if (place) events = events.where(sql<SqlBool>`(xid, id) < (${place.xid}::xid8, ${place.id}::bigint)`)
  } else {
    events = events.orderBy('id', 'desc')
    if (place) events = events.where('id', '<', place.id)
  }
  const rows = await events.execute()
  return {
    done: true,
    events: rows.map(({ payment_id, merchant_id, request_id, created_at, ...row }) => ({
      ...row,
      paymentId: payment_id,
      merchantId: merchant_id,
      requestId: request_id,
      createdAt: created_at,
    })),
  }
}

async function placeOf(db: Kysely<Tables>, { paymentId, sequence }: EventName) {
  return await db
    .selectFrom('payment_events')
    .select(['xid', 'id'])
    .where('payment_id', '=', paymentId)
    .where('sequence', '=', sequence)
    .executeTakeFirst()
}
