import { defined } from '@cashflow/async'
import { isKnownCurrency } from '@cashflow/domain'
import { compiledOnce, type ParameterOf } from '@cashflow/outbox'
import { type Kysely, type SqlBool, sql } from 'kysely'
import { isOfMerchant } from '../payments/row.ts'
import type { Tables } from '../tables.ts'
import { type FeedPosition, FIRST, findPositionAt } from './position-at.ts'
import { RestoredEventsError } from './restored.ts'
import {
  type EventRow,
  PAYMENT_COLUMNS_OF_EVENT,
  STORED_COLUMNS,
  type StoredEvent,
  toStoredEvent,
} from './stored-event.ts'

/** Events that one page reads at most. A page of a rare type may show none, and its cursor goes on. */
export const READ_MAX = 1_000
/** A cursor of another server, or of an earlier timeline of this one, goes back by this. */
export const RESUME_EARLIER_MS = 10 * 60_000

/** How far a reader has read. */
export interface FeedCursor extends FeedPosition {
  /** Cluster and timeline whose xids these are. */
  readonly epoch: string
  /** Time of the last event that was read, in milliseconds since 1970. */
  readonly createdAtMs: number
}

export interface FeedPage {
  readonly events: readonly StoredEvent[]
  /** True if more events may be shown already. */
  readonly hasMore: boolean
  readonly next: FeedCursor
  /** Age of the oldest committed event that is not shown yet. 0 without one. */
  readonly delayedMs: number
  /** The event before which the page ends, because this version does not know its payment's currency. */
  readonly stoppedBy?: StoredEvent | undefined
  /** The xid of the oldest transaction that runs, or the next xid. Events below it are shown. */
  readonly horizon: string
}

type FeedFrom = Omit<FeedCursor, 'epoch'> & { readonly epoch: string | undefined }

export interface FeedRequest {
  readonly merchantId: string
  /** Undefined shows events of every type. */
  readonly type?: string | undefined
  /** Undefined begins with the first event. */
  readonly after?: FeedCursor | undefined
  readonly limit: number
}

/**
 * Reads the next events of a merchant, in the order (xid, id). It skips no event: those of transactions that are older than
 * one that still runs are shown, and no others. It stops before an event whose payment has a currency that only a newer
 * version knows: behind it the reader would never see that event.
 *
 * @param db no transaction: `pg_stat_activity` is read once in a transaction, and has to be younger than the snapshot
 * @throws RestoredEventsError if the cursor's place is among events that `migrate` has to order first
 */
export async function readFeed(db: Kysely<Tables>, { after, type, merchantId, limit }: FeedRequest): Promise<FeedPage> {
  let from: FeedFrom = after ?? { ...FIRST, epoch: undefined, createdAtMs: 0 }
  const shownMax = limit + 1
  const readMax = type === undefined ? shownMax : READ_MAX
  for (let isMoved = false; ; isMoved = true) {
    const { xid, id } = from
    const rows = await PAGE(db, { merchantId, type: type ?? null, xid, id, readMax, shownMax })
    const server = defined(rows[0], 'row of the server')
    // A cursor may also be ahead of the same server: its data directory was replaced by an earlier copy.
    const isAhead = BigInt(xid) >= BigInt(server.next_xid)
    // The position was read from this server: a dump was restored while the service ran. Another search would find the same.
    if (isAhead && isMoved) throw new RestoredEventsError()
    const isForeign = from.epoch !== server.epoch || isAhead
    if (from.epoch === undefined || !isForeign)
      return toPage(server, rows, { from: { ...from, epoch: server.epoch }, limit, readMax })
    const createdAtMs = from.createdAtMs - RESUME_EARLIER_MS
    from = { ...(await findPositionAt(db, new Date(createdAtMs))), epoch: server.epoch, createdAtMs }
  }
}

interface Values {
  merchantId: string
  type: string | null
  xid: string
  id: string
  readMax: number
  shownMax: number
}

// As `sql` below: the builder has no snapshots, no functions of the server, no row comparison and no intervals.

/**
 * The oldest xid that may still write an event: of any database of the server, also of a prepared transaction. A relay's
 * transaction is left out. It has an xid until its confirms, which may take seconds, and writes no event.
 *
 * PostgreSQL takes the snapshot first, and then looks who the sessions are. A session that was the relay's by then, with an
 * xid of the snapshot, had this xid as a relay: no other session had it before, and a reused session gets a later one.
 */
export const HORIZON = sql<string>`coalesce((
    select running from pg_snapshot_xip(pg_current_snapshot()) as running
    where not exists (
      select from pg_stat_activity as relay
      where relay.backend_xid = running::xid and relay.application_name ~ '^cashflow-relay( |$)')
    order by running limit 1),
  pg_snapshot_xmax(pg_current_snapshot()))`

/** The cluster, and its timeline: xids of another epoch have no meaning here. */
export const EPOCH = sql<string>`(select system_identifier from pg_control_system()) || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)`

const SERVER = [
  EPOCH.as('epoch'),
  HORIZON.as('horizon'),
  sql<string>`pg_snapshot_xmax(pg_current_snapshot())`.as('next_xid'),
] as const

const PAGE = compiledOnce((db: Kysely<Tables>, parameter: ParameterOf<Values>) =>
  db
    .with(
      (cte) => cte('server').materialized(),
      (qb) => qb.selectNoFrom(SERVER),
    )
    .with(
      (cte) => cte('read').materialized(),
      (qb) =>
        qb
          .selectFrom('payment_events as e')
          .select(STORED_COLUMNS.map((column) => `e.${column}` as const))
          .select(['e.xid', 'e.id'])
          .where('e.merchant_id', '=', parameter('merchantId'))
          .where(sql<SqlBool>`(e.xid, e.id) > (${parameter('xid')}::xid8, ${parameter('id')}::bigint)`)
          .where('e.xid', '<', qb.selectFrom('server').select('horizon'))
          .orderBy('e.xid')
          .orderBy('e.id')
          .limit(parameter('readMax')),
    )
    .with(
      (cte) => cte('shown').materialized(),
      (qb) =>
        qb
          .selectFrom('read')
          .selectAll()
          .where(sql<SqlBool>`coalesce(type = ${parameter('type')}::text, true)`)
          .orderBy('xid')
          .orderBy('id')
          .limit(parameter('shownMax')),
    )
    .with('reached', (qb) =>
      qb
        .selectFrom('read')
        .select((eb) => ['xid', 'id', 'created_at', eb.fn.countAll<string>().over().as('count')])
        .where((eb) => eb(qb.selectFrom('shown').select(eb.fn.countAll<number>().as('n')), '<', parameter('shownMax')))
        .orderBy('xid', 'desc')
        .orderBy('id', 'desc')
        .limit(sql.lit(1)),
    )
    .selectFrom('server')
    .leftJoin('shown', (on) => on.onTrue())
    .leftJoin('payments as p', (on) =>
      on.onRef('p.id', '=', 'shown.payment_id').on(isOfMerchant(parameter('merchantId'), 'p')),
    )
    .leftJoin('reached', (on) => on.onTrue())
    .select(['server.epoch', 'server.horizon', 'server.next_xid', 'shown.xid', 'shown.id'])
    .select(STORED_COLUMNS.map((column) => `shown.${column}` as const))
    .select(PAYMENT_COLUMNS_OF_EVENT)
    .select([
      'reached.xid as reached_xid',
      'reached.id as reached_id',
      'reached.created_at as reached_created_at',
      'reached.count as read_count',
    ])
    .select((eb) =>
      eb
        .selectFrom('payment_events as e')
        .select(sql<number>`greatest(1, extract(epoch from clock_timestamp() - e.created_at) * 1000)::float8`.as('ms'))
        .where('e.merchant_id', '=', parameter('merchantId'))
        .where('e.xid', '>=', eb.selectFrom('server').select('horizon'))
        .orderBy('e.xid')
        .orderBy('e.id')
        .limit(sql.lit(1))
        .as('delayed_ms'),
    )
    .orderBy('shown.xid')
    .orderBy('shown.id'),
)

type Row = Awaited<ReturnType<typeof PAGE>>[number]

function toPage(
  server: Row,
  rows: readonly Row[],
  { from, limit, readMax }: { from: FeedCursor; limit: number; readMax: number },
): FeedPage {
  const found = rows.flatMap((row) => (row.payment_id === null ? [] : [row as Row & EventRow]))
  const unknown = found.findIndex(({ currency }) => currency !== null && !isKnownCurrency(currency))
  const isStopped = unknown >= 0 && unknown < limit
  const shown = found.slice(0, isStopped ? unknown : limit)
  const isCut = found.length > shown.length
  const last = shown.at(-1)
  const stoppedBy = isStopped ? found[unknown] : undefined
  return {
    events: shown.map(toStoredEvent),
    // A reader that has come to the event that stops it asks again later, as after the last event.
    hasMore: !isStopped && (isCut || Number(server.read_count) === readMax),
    next: { ...from, ...(isCut ? last && placeOf(last) : reachedBy(server)) },
    delayedMs: stoppedBy ? Math.max(1, Date.now() - stoppedBy.created_at.getTime()) : Math.ceil(server.delayed_ms ?? 0),
    stoppedBy: stoppedBy && toStoredEvent(stoppedBy),
    horizon: server.horizon,
  }
}

/** The place of the last event that was read, shown or not. Nothing if none was. */
function reachedBy({ reached_xid: xid, reached_id: id, reached_created_at: created_at }: Row) {
  return xid === null || id === null || created_at === null ? {} : placeOf({ xid, id, created_at })
}

function placeOf({ xid, id, created_at }: { xid: string | null; id: string | null; created_at: Date }) {
  return {
    xid: defined(xid ?? undefined, 'xid'),
    id: defined(id ?? undefined, 'id'),
    createdAtMs: created_at.getTime(),
  }
}
