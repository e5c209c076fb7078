import { defined } from '@cashflow/async'
import { compiledOnce, type ParameterOf } from '@cashflow/outbox'
import { type Kysely, sql, type Transaction } from 'kysely'
import { RESUME_EARLIER_MS } from '../events/feed.ts'
import type { StoredEvent } from '../events/stored-event.ts'
import { recordSet } from '../statement.ts'
import type { Tables } from '../tables.ts'
import { type Cursor, type Read, type ReadEvent, readEvents } from './event-pages.ts'
import { faultOf } from './simulated-faults.ts'
import type { DeliveryFault } from './tables.ts'

export interface FanOutOptions {
  /** Merchants whose events are fanned out. Those that another process works on are left out. */
  readonly merchantIds: readonly string[]
  /** Maximum number of events for each merchant. */
  readonly eventsMax: number
  /** Returns the bytes that are signed: the body of every request about this event. */
  readonly bodyOf: (event: StoredEvent) => string
  /** True in a sandbox: a payment's `metadata.simulate` may disturb its deliveries. */
  readonly isSandbox?: boolean | undefined
}

export interface FannedOut {
  /** Events that the cursors have passed. */
  readonly events: number
  readonly deliveries: number
  /** True if a merchant may have more events. */
  readonly hasMore: boolean
  /** Events before which a merchant's feed stops, because this version does not know the currency of their payments. */
  readonly stoppedBy: readonly StoredEvent[]
}

/** Claims and settlements hold queues for some milliseconds. */
const LOCK_MS = 500
const NOTHING: FannedOut = { events: 0, deliveries: 0, hasMore: false, stoppedBy: [] }

/**
 * Makes a delivery of each new event for each enabled endpoint of its merchant, and moves the merchant's cursor, in one
 * transaction. A process that dies has changed nothing. A change of the endpoints locks the cursor too.
 *
 * It reads below the same horizon as GET /events. So it skips no event, however long a transaction runs.
 */
export async function fanOut(db: Kysely<Tables>, options: FanOutOptions): Promise<FannedOut> {
  return await db.transaction().execute(async (tx) => {
    const cursors = await CURSORS(tx, { merchantIds: options.merchantIds })
    if (cursors.length === 0) return NOTHING
    const read = await readEvents(tx, cursors, { limit: options.eventsMax, withSimulate: options.isSandbox })
    const moved = read.cursors.filter((cursor, place) => cursor !== cursors[place])
    if (moved.length > 0) await forgetStarts(tx, moved)
    const ids = cursors.map(({ merchant_id }) => merchant_id)
    const endpoints = Map.groupBy(await ENDPOINTS(tx, { merchantIds: ids }), ({ merchant_id }) => merchant_id)
    // Without an endpoint nothing is fanned out. The next one makes a cursor of its own time.
    const idle = ids.filter((id) => !endpoints.has(id))
    if (idle.length > 0) await tx.deleteFrom('webhook_cursors').where('merchant_id', 'in', idle).execute()
    return await store(tx, read, endpoints, options)
  })
}

/** Xids of another server, or of an earlier timeline, mean nothing on this one. From now on the time of an endpoint counts. */
async function forgetStarts(tx: Transaction<Tables>, cursors: readonly Cursor[]): Promise<void> {
  const ids = cursors.map(({ merchant_id }) => merchant_id)
  await tx
    .updateTable('webhook_endpoints')
    .set({ start_xid: null })
    .where('merchant_id', 'in', ids)
    .where('deleted_at', 'is', null)
    .execute()
}

interface Endpoint {
  id: string
  types: string[] | null
  start_xid: string | null
  created_at: Date
}

interface OfMerchants {
  merchantIds: readonly string[]
}

// As `sql` below: the builder has no ANY.
const CURSORS = compiledOnce((tx: Transaction<Tables>, parameter: ParameterOf<OfMerchants>) =>
  tx
    .selectFrom('webhook_cursors')
    .selectAll()
    // A queue that another session holds is waited for, but not for as long as others are.
    .select(sql`set_config('lock_timeout', ${sql.lit(String(LOCK_MS))}, true)`.as('lock_timeout'))
    .where('merchant_id', '=', sql<string>`any(${parameter('merchantIds')}::uuid[])`)
    .orderBy('merchant_id')
    .forUpdate()
    .skipLocked(),
)

const ENDPOINTS = compiledOnce((tx: Transaction<Tables>, parameter: ParameterOf<OfMerchants>) =>
  tx
    .selectFrom('webhook_endpoints')
    .select(['id', 'merchant_id', 'types', 'start_xid', 'created_at'])
    .where('merchant_id', '=', sql<string>`any(${parameter('merchantIds')}::uuid[])`)
    .where('deleted_at', 'is', null)
    .where('disabled_at', 'is', null),
)

const PAYLOAD = recordSet('payload', { payment_id: 'uuid', sequence: 'int', body: 'text', traceparent: 'text' })
const DELIVERY = recordSet('delivery', {
  place: 'int',
  endpoint_id: 'uuid',
  merchant_id: 'uuid',
  payment_id: 'uuid',
  sequence: 'int',
  type: 'text',
  event_at: 'timestamptz',
  fault: 'text',
  delay_s: 'int',
  early_after: 'int',
})
const NEW = ['endpoint_id', 'merchant_id', 'payment_id', 'sequence', 'type', 'event_at', 'early_after'] as const
const DUE_AT = sql<Date>`clock_timestamp() + coalesce(delivery.delay_s, 0) * interval '1 s'`
const MOVED = recordSet('moved', {
  merchant_id: 'uuid',
  epoch: 'text',
  xid: 'text',
  id: 'bigint',
  reached_at: 'timestamptz',
})

async function store(
  tx: Transaction<Tables>,
  { cursors, events, full }: Read,
  endpoints: ReadonlyMap<string, readonly Endpoint[]>,
  { bodyOf }: FanOutOptions,
): Promise<FannedOut> {
  const ofMerchant = Map.groupBy(events, ({ merchantId }) => merchantId)
  const [payloads, deliveries, stoppedBy]: [Row[], Row[], StoredEvent[]] = [[], [], []]
  let hasMore = false
  let passed = 0
  const places = cursors.map((cursor) => {
    const found = ofMerchant.get(cursor.merchant_id) ?? []
    const unknown = found.findIndex(({ isKnown }) => !isKnown)
    if (unknown >= 0) stoppedBy.push(defined(found[unknown], 'event').stored)
    else hasMore ||= full.has(cursor.merchant_id)
    const shown = unknown < 0 ? found : found.filter(({ isAhead, isKnown }, n) => n < unknown || (isAhead && isKnown))
    passed += shown.length
    for (const event of shown) {
      const { paymentId, sequence, type, createdAt } = event.stored
      const wanted = (endpoints.get(cursor.merchant_id) ?? []).filter((endpoint) => isFor(endpoint, event))
      if (wanted.length === 0) continue
      const name = { payment_id: paymentId, sequence }
      payloads.push({ ...name, body: bodyOf(event.stored), traceparent: event.traceparent })
      const own = { ...name, merchant_id: cursor.merchant_id, type, event_at: createdAt }
      for (const { id, types } of wanted)
        deliveries.push({ ...own, endpoint_id: id, ...faultOf(event.simulate, { type, types }) })
    }
    const last = shown.findLast(({ isAhead }) => !isAhead)
    return last ? { ...cursor, xid: last.xid, id: last.id, reached_at: last.stored.createdAt } : cursor
  })
  // The deliveries of a payment get their ids in the order of its events.
  const sorted = deliveries.toSorted((one, other) => Number(one.sequence) - Number(other.sequence))
  const rows = await STORE(tx, {
    payloads: JSON.stringify(payloads),
    deliveries: JSON.stringify(sorted.map((row, place) => ({ ...row, place }))),
    moved: JSON.stringify(places),
  })
  const inserted = Number(defined(rows[0], 'row of counts').inserted)
  return { events: passed, deliveries: inserted, hasMore, stoppedBy }
}

type Row = Record<string, unknown>

function isFor(endpoint: Endpoint, event: ReadEvent): boolean {
  const { types } = endpoint
  return (types === null || types.includes(event.stored.type)) && isLater(event, endpoint)
}

/** A cursor that went back has left the start of its endpoints to their time, and the clocks of services differ. */
function isLater({ xid, stored }: ReadEvent, { start_xid, created_at }: Endpoint): boolean {
  if (start_xid !== null) return BigInt(xid) >= BigInt(start_xid)
  return stored.createdAt.getTime() >= created_at.getTime() - RESUME_EARLIER_MS
}

const STORE = compiledOnce(
  (tx: Transaction<Tables>, parameter: ParameterOf<{ payloads: string; deliveries: string; moved: string }>) =>
    tx
      .with('payloads', (qb) =>
        qb
          .insertInto('webhook_payloads')
          .columns(['payment_id', 'sequence', 'body', 'traceparent'])
          .expression(
            qb
              .selectFrom(PAYLOAD.from(parameter('payloads')))
              .select(['payment_id', 'sequence', 'body', 'traceparent']),
          )
          .onConflict((conflict) => conflict.doNothing()),
      )
      .with('inserted', (qb) =>
        qb
          .insertInto('webhook_deliveries')
          .columns([...NEW, 'fault', 'due_at'])
          .expression(
            qb
              .selectFrom(DELIVERY.from(parameter('deliveries')))
              .select([...NEW, sql<DeliveryFault | null>`fault`.as('fault'), DUE_AT.as('due_at')])
              .orderBy('place'),
          )
          .onConflict((conflict) => conflict.doNothing())
          .returning('endpoint_id'),
      )
      .with('moved', (qb) =>
        qb
          .updateTable('webhook_cursors as c')
          .from(MOVED.from(parameter('moved')))
          .set((eb) => ({
            epoch: eb.ref('moved.epoch'),
            xid: sql<string>`moved.xid::xid8`,
            id: eb.ref('moved.id'),
            reached_at: eb.ref('moved.reached_at'),
          }))
          .whereRef('c.merchant_id', '=', 'moved.merchant_id'),
      )
      // In the order of ids, as all locks of queues.
      .with(
        (cte) => cte('queued').materialized(),
        (qb) =>
          qb
            .selectFrom(qb.selectFrom('inserted').select('endpoint_id').distinct().orderBy('endpoint_id').as('named'))
            .crossJoinLateral((eb) =>
              eb
                .selectFrom('webhook_queues as q')
                .select(['q.due_at'])
                .whereRef('q.endpoint_id', '=', 'named.endpoint_id')
                .forUpdate()
                .as('q'),
            )
            .select(['named.endpoint_id', 'q.due_at']),
      )
      .with('woken', (qb) =>
        qb
          .updateTable('webhook_queues as q')
          .from('queued')
          .set({ due_at: sql<Date>`now()` })
          .whereRef('q.endpoint_id', '=', 'queued.endpoint_id')
          // As it is now that it is locked. A claim that came first may have put the queue to sleep.
          .where('queued.due_at', '>', sql<Date>`now()`),
      )
      .selectNoFrom((eb) => eb.selectFrom('inserted').select(eb.fn.countAll<string>().as('n')).as('inserted')),
)
