import { type Kysely, sql } from 'kysely'
import { EPOCH } from '../events/feed.ts'
import { findPositionAt } from '../events/position-at.ts'
import { BIGINT_MAX, type Page, type Span } from '../postgres/pages.ts'
import type { Tables } from '../tables.ts'

/**
 * Events are checked that are younger than this. A succeeded delivery is pruned after WEBHOOK_RETENTION, which no table has, and
 * which is at least a day.
 */
const YOUNGER_THAN = '23 hours'
/** How far the clocks of services may be behind PostgreSQL's. */
const CLOCK_SLACK = '1 minute'

/** An event that an endpoint should have, and has no delivery of. */
export interface MissedEvent {
  readonly payment_id: string
  readonly sequence: number
  readonly endpoint_id: string
}

export interface FannedOutPage extends Page {
  readonly missed: readonly MissedEvent[]
}

const ID = BIGINT_MAX + 1n

/** Merchants with an enabled endpoint, in the order of their ids. */
export async function merchantsWithEndpoints(
  db: Kysely<Tables>,
  { after, limit }: { after: string | undefined; limit: number },
): Promise<string[]> {
  const rows = await db
    .selectFrom('webhook_endpoints')
    .select('merchant_id')
    .distinct()
    .where('deleted_at', 'is', null)
    .where('disabled_at', 'is', null)
    .$if(after !== undefined, (read) => read.where('merchant_id', '>', after ?? ''))
    .orderBy('merchant_id')
    .limit(limit)
    .execute()
  return rows.map(({ merchant_id }) => merchant_id)
}

/** The places of young events: all from about a day ago on. A place is an xid and then an id. */
export async function spanOfYoungEvents(db: Kysely<Tables>): Promise<Span> {
  const { rows } = await sql<{ from: Date }>`select now() - interval '${sql.raw(YOUNGER_THAN)}' as from`.execute(db)
  const { xid, id } = await findPositionAt(db, rows[0]?.from ?? new Date(0))
  return { after: BigInt(xid) * ID + BigInt(id) - 1n, to: (2n ** 64n - 1n) * ID + BIGINT_MAX }
}

/**
 * Reads events of a merchant that its cursor has passed, and returns those of which an enabled endpoint has no delivery, though
 * it wants their type and was enabled before. One statement, so one snapshot. Nothing while the cursor is of another server.
 */
export async function readFannedOut(
  db: Kysely<Tables>,
  merchantId: string,
  { after, to, limit }: Span & { limit: number },
): Promise<FannedOutPage> {
  const [from, last] = [placeAt(after + 1n), placeAt(to)]
  // As `sql`: the builder has no row comparison and no intervals.
  const { rows } = await sql<{ xid: string; id: string } & (MissedEvent | { endpoint_id: null })>`
    with page as materialized (
      select e.payment_id, e.sequence, e.type, e.created_at, e.xid, e.id
      from webhook_cursors c join payment_events e on e.merchant_id = c.merchant_id
      where c.merchant_id = ${merchantId} and c.epoch = ${EPOCH} and (e.xid, e.id) <= (c.xid, c.id)
        and (e.xid, e.id) >= (${from.xid}::xid8, ${from.id}::bigint) and (e.xid, e.id) <= (${last.xid}::xid8, ${last.id}::bigint)
      order by e.xid, e.id limit ${limit}
    )
    select page.xid, page.id, page.payment_id, page.sequence, w.id as endpoint_id
    from page left join lateral (
      select w.id from webhook_endpoints w
      where w.merchant_id = ${merchantId} and w.deleted_at is null and w.disabled_at is null
        and (w.types is null or page.type = any(w.types))
        and page.created_at > w.whole_since + interval '${sql.raw(CLOCK_SLACK)}'
        and page.created_at > now() - interval '${sql.raw(YOUNGER_THAN)}'
        and not exists (
          select from webhook_deliveries d
          where d.payment_id = page.payment_id and d.sequence = page.sequence and d.endpoint_id = w.id offset 0)
      offset 0) w on true
    order by page.xid, page.id`.execute(db)
  const end = rows.at(-1)
  const events = new Set(rows.map(({ id }) => id)).size
  const missed = rows.flatMap((row) => (row.endpoint_id === null ? [] : [row as MissedEvent]))
  return { missed, upto: end && events === limit ? BigInt(end.xid) * ID + BigInt(end.id) : to }
}

function placeAt(place: bigint): { xid: string; id: string } {
  return { xid: String(place / ID), id: String(place % ID) }
}
