import { defined } from '@cashflow/async'
import { isKnownCurrency } from '@cashflow/domain'
import { compiledOnce, type ParameterOf } from '@cashflow/outbox'
import { type SqlBool, sql, type Transaction } from 'kysely'
import { EPOCH, HORIZON, RESUME_EARLIER_MS } from '../events/feed.ts'
import { findPositionAt } from '../events/position-at.ts'
import { RestoredEventsError } from '../events/restored.ts'
import {
  type EventRow,
  PAYMENT_COLUMNS_OF_EVENT,
  STORED_COLUMNS,
  type StoredEvent,
  toStoredEvent,
} from '../events/stored-event.ts'
import { recordSet } from '../statement.ts'
import type { Tables } from '../tables.ts'

/** A place in the feed: an xid8 and a bigint, as text. */
interface Place {
  xid: string
  id: string
}

/** How far the events of a merchant are read. */
export interface Cursor extends Place {
  merchant_id: string
  epoch: string
  reached_at: Date
}

export interface ReadEvent extends Place {
  readonly merchantId: string
  readonly stored: StoredEvent
  readonly isKnown: boolean
  /** The place of the payment's request in its trace. */
  readonly traceparent: string | null
  /** The payment's `metadata.simulate`, if it was asked for. */
  readonly simulate: string | null
  /** True for an event of a later place, whose successor in its payment has been read. */
  readonly isAhead: boolean
}

export interface Read {
  readonly cursors: readonly Cursor[]
  /** Each once, those of a merchant in the order of the feed, except for those that are ahead. */
  readonly events: readonly ReadEvent[]
  /** Events below this xid were read. It may be lower than at an earlier time. */
  readonly horizon: string
  /** Merchants that may have more events. */
  readonly full: ReadonlySet<string>
}

const GIVEN = recordSet('given', { merchant_id: 'uuid', xid: 'text', id: 'bigint' })

interface PagesWanted {
  cursors: string
  limit: number
  withSimulate: boolean
}

// As `sql` below: the builder has no snapshots, no functions of the server and no row comparison.
const PAGES = compiledOnce((tx: Transaction<Tables>, parameter: ParameterOf<PagesWanted>) =>
  tx
    .with(
      (cte) => cte('server').materialized(),
      (qb) =>
        qb.selectNoFrom([
          EPOCH.as('epoch'),
          HORIZON.as('horizon'),
          sql<string>`pg_snapshot_xmax(pg_current_snapshot())`.as('next_xid'),
        ]),
    )
    .with(
      (cte) => cte('page').materialized(),
      (qb) =>
        qb
          .selectFrom(GIVEN.from(parameter('cursors')))
          .crossJoinLateral((eb) =>
            eb
              .selectFrom('payment_events as e')
              .select(STORED_COLUMNS.map((column) => `e.${column}` as const))
              .select(['e.merchant_id', 'e.xid', 'e.id', sql<boolean>`false`.as('is_ahead')])
              .whereRef('e.merchant_id', '=', 'given.merchant_id')
              .where(sql<SqlBool>`(e.xid, e.id) > (given.xid::xid8, given.id)`)
              .where('e.xid', '<', qb.selectFrom('server').select('horizon'))
              .orderBy('e.xid')
              .orderBy('e.id')
              .limit(parameter('limit'))
              .as('e'),
          )
          .selectAll('e'),
    )
    // A transaction may have got its xid before it waited for the one that wrote the event before.
    .with(
      (cte) => cte('ahead').materialized(),
      (qb) =>
        qb
          .selectFrom('page')
          .innerJoin('payment_events as e', (on) =>
            on
              .onRef('e.payment_id', '=', 'page.payment_id')
              .onRef('e.sequence', '<', 'page.sequence')
              .on(sql<SqlBool>`(e.xid, e.id) > (page.xid, page.id)`),
          )
          .select(STORED_COLUMNS.map((column) => `e.${column}` as const))
          .select(['e.merchant_id', 'e.xid', 'e.id', sql<boolean>`true`.as('is_ahead')]),
    )
    .selectFrom('server')
    .leftJoin(
      (eb) => eb.selectFrom('page').selectAll().unionAll(eb.selectFrom('ahead').selectAll()).as('e'),
      (on) => on.onTrue(),
    )
    .leftJoin('payments as p', 'p.id', 'e.payment_id')
    .select(['server.epoch', 'server.horizon', 'server.next_xid', 'e.merchant_id', 'e.xid', 'e.id', 'e.is_ahead'])
    .select(STORED_COLUMNS.map((column) => `e.${column}` as const))
    .select(PAYMENT_COLUMNS_OF_EVENT)
    .select(
      sql<string | null>`case when ${parameter('withSimulate')}::boolean then p.metadata ->> 'simulate' end`.as(
        'simulate',
      ),
    )
    .select((eb) =>
      eb
        .selectFrom('payment_events as first')
        .select(sql<string | null>`first.trace ->> 'traceparent'`.as('traceparent'))
        .whereRef('first.payment_id', '=', 'e.payment_id')
        .where('first.sequence', '=', sql.lit(1))
        .as('traceparent'),
    )
    .orderBy('e.merchant_id')
    .orderBy('e.xid')
    .orderBy('e.id'),
)

/**
 * Reads the next events of each merchant. A cursor of another server, or of an earlier timeline, first goes back to a time
 * before its own: the events that are read again have their deliveries.
 *
 * @throws RestoredEventsError if a cursor's place is among events that `migrate` has to order first
 */
export async function readEvents(
  tx: Transaction<Tables>,
  given: readonly Cursor[],
  { limit, withSimulate = false }: { limit: number; withSimulate?: boolean | undefined },
): Promise<Read> {
  let cursors = given
  for (let isMoved = false; ; isMoved = true) {
    const places = GIVEN.json(cursors.map(({ merchant_id, xid, id }) => ({ merchant_id, xid, id })))
    const rows = await PAGES(tx, { cursors: places, limit, withSimulate })
    const { epoch, horizon, next_xid } = defined(rows[0], 'row of the server')
    const isForeign = (cursor: Cursor) => cursor.epoch !== epoch || BigInt(cursor.xid) >= BigInt(next_xid)
    if (cursors.some(isForeign)) {
      if (isMoved) throw new RestoredEventsError()
      cursors = await Promise.all(cursors.map((cursor) => (isForeign(cursor) ? goBack(tx, cursor, epoch) : cursor)))
      continue
    }
    const events = rows.flatMap((row) =>
      row.payment_id === null ? [] : [toEvent(row as typeof row & EventRow & Place)],
    )
    return { cursors, events: withoutRepeats(events), horizon, full: fullPages(events, limit) }
  }
}

/** An event may be ahead of several ones, and also further on in the page. */
function withoutRepeats(events: readonly ReadEvent[]): ReadEvent[] {
  const byId = new Map<string, ReadEvent>()
  for (const event of events) if (!event.isAhead || !byId.has(event.id)) byId.set(event.id, event)
  return [...byId.values()]
}

function fullPages(events: readonly ReadEvent[], limit: number): ReadonlySet<string> {
  const pages = Map.groupBy(
    events.filter(({ isAhead }) => !isAhead),
    ({ merchantId }) => merchantId,
  )
  return new Set([...pages].filter(([, { length }]) => length === limit).map(([merchantId]) => merchantId))
}

async function goBack(tx: Transaction<Tables>, cursor: Cursor, epoch: string): Promise<Cursor> {
  const reachedAt = new Date(cursor.reached_at.getTime() - RESUME_EARLIER_MS)
  return { ...cursor, ...(await findPositionAt(tx, reachedAt)), epoch, reached_at: reachedAt }
}

interface PageRow extends EventRow, Place {
  merchant_id: string | null
  is_ahead: boolean | null
  traceparent: string | null
  simulate: string | null
}

function toEvent(row: PageRow): ReadEvent {
  return {
    merchantId: defined(row.merchant_id ?? undefined, 'merchant of an event'),
    xid: row.xid,
    id: row.id,
    stored: toStoredEvent(row),
    isKnown: row.currency === null || isKnownCurrency(row.currency),
    isAhead: row.is_ahead === true,
    traceparent: row.traceparent,
    simulate: row.simulate,
  }
}
