import { type Kysely, type SqlBool, sql } from 'kysely'
import { isDamage } from '../postgres/errors.ts'
import { BIGINT_MAX, type Span } from '../postgres/pages.ts'
import { isUnreadable, type LeftOut, leftOut, readPastDamage } from '../postgres/past-damage.ts'
import type { Tables } from '../tables.ts'
import type { Done } from './done.ts'
import { CUT_MS } from './read-rows.ts'

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

export interface EventPage {
  readonly events: readonly SeenEvent[]
  /** Events that PostgreSQL cannot read, and that belong into this page. */
  readonly leftOut: readonly LeftOut[]
}

/**
 * Lists events in pages, the newest first, those of a payment in the order of their sequence. It reads no more rows than it
 * returns, and leaves out those that PostgreSQL cannot read. An event of a transaction that commits late may be missing from
 * a page that was read before: the feed of the API skips none.
 */
export async function searchEvents(db: Kysely<Tables>, search: EventSearch): Promise<Done<EventPage>> {
  const { after, limit } = search
  const place = after && (await placeOf(db, after))
  if (after && !place) return { done: false, why: 'No event has the id of --after.' }
  const order = orderOf(search)
  const { found } = await readPastDamage<EventRow>({
    read: (span, most) => order.read(db, span).limit(most).execute(),
    placeOf: order.placeOf,
    span: { after: place ? order.placeOf({ ...place, sequence: after?.sequence ?? 0 }) : -1n, to: order.last },
    ...{ limit, cutMs: CUT_MS },
  })
  const events: SeenEvent[] = []
  const unreadable: LeftOut[] = []
  for (const part of found)
    if (isUnreadable(part)) unreadable.push(leftOut(await order.nameOf(db, part.at), part.error))
    else events.push(toSeen(part))
  return { done: true, events, leftOut: unreadable }
}

interface EventPlace {
  readonly xid: string
  readonly id: string
  readonly sequence: number
}

interface EventRow extends EventPlace {
  payment_id: string
  merchant_id: string
  type: string
  data: unknown
  actor: string
  request_id: string | null
  created_at: Date
}

const rows = (db: Kysely<Tables>) =>
  db
    .selectFrom('payment_events')
    .select(['xid', 'id', 'payment_id', 'sequence', 'merchant_id', 'type', 'data', 'actor', 'request_id', 'created_at'])

/** An order of events, by an index. The places of events that come newest first count backwards. */
interface EventOrder {
  read(db: Kysely<Tables>, span: Span): ReturnType<typeof rows>
  placeOf(event: EventPlace): bigint
  /** The highest place. */
  readonly last: bigint
  /** Names an event that cannot be read. */
  nameOf(db: Kysely<Tables>, place: bigint): Promise<string>
}

const ID_BITS = 63n
const PAIR_MAX = 2n ** (64n + ID_BITS) - 1n

const BY_ID: EventOrder = {
  read: (db, { after, to }) =>
    rows(db)
      .where('id', '<=', String(BIGINT_MAX - after - 1n))
      .where('id', '>=', String(BIGINT_MAX - to))
      .orderBy('id', 'desc'),
  placeOf: ({ id }) => BIGINT_MAX - BigInt(id),
  last: BIGINT_MAX,
  nameOf: (db, place) => nameOf(db, BIGINT_MAX - place),
}

function orderOf({ merchantId, paymentId }: EventSearch): EventOrder {
  if (paymentId !== undefined)
    return {
      read: (db, { after, to }) =>
        rows(db)
          .where('payment_id', '=', paymentId)
          .where('sequence', '>', Number(after))
          .where('sequence', '<=', Number(to))
          .orderBy('sequence'),
      placeOf: ({ sequence }) => BigInt(sequence),
      last: 2n ** 31n - 1n,
      nameOf: async (_, place) => `event evt_${paymentId}_${place}`,
    }
  if (merchantId === undefined) return BY_ID
  const pairOf = (place: bigint) =>
    [String((PAIR_MAX - place) >> ID_BITS), String((PAIR_MAX - place) & BIGINT_MAX)] as const
  return {
    read(db, { after, to }) {
      const [[xid, id], [lastXid, lastId]] = [pairOf(after), pairOf(to)]
      // As `sql`: the builder has no row comparison.
      return rows(db)
        .where('merchant_id', '=', merchantId)
        .$if(after >= 0n, (newest) => newest.where(sql<SqlBool>`(xid, id) < (${xid}::xid8, ${id}::bigint)`))
        .where(sql<SqlBool>`(xid, id) >= (${lastXid}::xid8, ${lastId}::bigint)`)
        .orderBy('xid', 'desc')
        .orderBy('id', 'desc')
    },
    placeOf: ({ xid, id }) => PAIR_MAX - ((BigInt(xid) << ID_BITS) | BigInt(id)),
    last: PAIR_MAX,
    nameOf: (db, place) => nameOf(db, BigInt(pairOf(place)[1])),
  }
}

/** The public id of an event, if that can be read, and else its number in the table. */
async function nameOf(db: Kysely<Tables>, id: bigint): Promise<string> {
  try {
    const name = db.selectFrom('payment_events').select(['payment_id', 'sequence']).where('id', '=', String(id))
    const { payment_id, sequence } = await name.executeTakeFirstOrThrow()
    return `event evt_${payment_id}_${sequence}`
  } catch (error) {
    if (!isDamage(error)) throw error
    return `the row ${id} of payment_events`
  }
}

function toSeen({ xid, id, payment_id, merchant_id, request_id, created_at, ...row }: EventRow): SeenEvent {
  return { ...row, paymentId: payment_id, merchantId: merchant_id, requestId: request_id, createdAt: created_at }
}

async function placeOf(db: Kysely<Tables>, { paymentId, sequence }: EventName) {
  return await db
    .selectFrom('payment_events')
    .select(['xid', 'id'])
    .where('payment_id', '=', paymentId)
    .where('sequence', '=', sequence)
    .executeTakeFirst()
}
