import { defined } from '@cashflow/async'
import { compiledOnce, type ParameterOf } from '@cashflow/outbox'
import { type Kysely, type Selectable, sql, type Transaction } from 'kysely'
import type { StoredEvent } from '../events/stored-event.ts'
import { compilable } from '../statement.ts'
import type { Tables } from '../tables.ts'
import { readEvents } from './event-pages.ts'
import { onItems } from './items-error.ts'
import type { WebhookReplaysTable } from './tables.ts'

export interface ReplayOptions {
  /** Maximum number of events of a page. */
  readonly eventsMax: number
  /** A replay rests while its endpoint has this many replayed deliveries to make. */
  readonly unfinishedMax: number
  readonly bodyOf: (event: StoredEvent) => string
}

export interface ReplayedPage {
  readonly replayId: string
  readonly endpointId: string
  readonly deliveries: number
  readonly isFinished: boolean
  /** True before an event that is not shown yet, or that this version does not know the currency of. */
  readonly isStopped: boolean
}

/**
 * Replays the next page of one of the replays that merchants have asked for, in one transaction: deliveries that are
 * finished are made again, those that never were are made now. Unfinished ones stay as they are.
 *
 * @param after looks at replays behind this one first
 * @returns undefined if none has anything to do now
 * @throws ItemsError with the replay if its page cannot be made
 */
export async function replayPage(
  db: Kysely<Tables>,
  after: string,
  options: ReplayOptions,
): Promise<ReplayedPage | undefined> {
  return await db.transaction().execute(async (tx) => {
    const [replay] = await NEXT(tx, { after, unfinishedMax: options.unfinishedMax })
    return replay && (await onItems([replay.id], makePage(tx, replay, options)))
  })
}

async function makePage(
  tx: Transaction<Tables>,
  replay: Replay,
  { eventsMax, bodyOf }: ReplayOptions,
): Promise<ReplayedPage> {
  const { id, endpoint_id, merchant_id, epoch, xid, place_id, reached_at, end_xid, types } = replay
  await tx.selectFrom('webhook_queues').select('due_at').where('endpoint_id', '=', endpoint_id).forUpdate().execute()
  const from = { merchant_id, epoch, xid, id: place_id, reached_at }
  const { cursors, events, horizon, full } = await readEvents(tx, [from], { limit: eventsMax })
  const cursor = defined(cursors[0], 'cursor of a replay')
  // After a restore the end is a time: xids of the other server mean nothing here.
  const isBefore = ({ xid, stored }: (typeof events)[number]) =>
    end_xid !== null && cursor.epoch === epoch ? BigInt(xid) < BigInt(end_xid) : stored.createdAt <= replay.created_at
  const page = events.filter(({ isAhead }) => !isAhead)
  const stop = page.findIndex((event) => !event.isKnown || !isBefore(event))
  const own = stop < 0 ? page : page.slice(0, stop)
  const ahead = events.filter(({ isAhead, isKnown }) => isAhead && isKnown)
  const wanted = [...own, ...ahead].filter(({ stored }) => types === null || types.includes(stored.type))
  const last = own.at(-1)
  // The horizon goes back for a moment when a relay commits just then (HORIZON): events before the end may not be shown.
  const isWhole = end_xid === null || cursor.epoch !== epoch || BigInt(horizon) >= BigInt(end_xid)
  const isFinished = stop < 0 ? !full.has(merchant_id) && isWhole : page[stop]?.isKnown === true
  const place = last ? { xid: last.xid, place_id: last.id, reached_at: last.stored.createdAt } : cursor
  await STORE(tx, {
    endpointId: endpoint_id,
    merchantId: merchant_id,
    events: JSON.stringify(
      wanted.map(({ stored }, n) => ({
        n,
        payment_id: stored.paymentId,
        sequence: stored.sequence,
        type: stored.type,
        event_at: stored.createdAt,
        body: bodyOf(stored),
      })),
    ),
  })
  await tx
    .updateTable('webhook_replays')
    .set((eb) => ({
      epoch: cursor.epoch,
      xid: place.xid,
      place_id: 'place_id' in place ? place.place_id : place.id,
      reached_at: place.reached_at,
      end_xid: cursor.epoch === epoch ? end_xid : null,
      replayed: eb('replayed', '+', wanted.length),
      finished_at: isFinished ? eb.fn<Date>('clock_timestamp') : null,
    }))
    .where('id', '=', id)
    .execute()
  const isStopped = own.length === 0 && !isFinished
  return { replayId: id, endpointId: endpoint_id, deliveries: wanted.length, isFinished, isStopped }
}

type Replay = Omit<Selectable<WebhookReplaysTable>, 'replayed' | 'finished_at'>

// As `sql` below: a locked row with a bounded count, and an upsert of which each column needs a reason, read better.

const NEXT = compiledOnce((tx: Transaction<Tables>, parameter: ParameterOf<{ after: string; unfinishedMax: number }>) =>
  compilable<Replay>(
    tx,
    sql`select r.* from webhook_replays r
      join webhook_queues q on q.endpoint_id = r.endpoint_id
      where r.finished_at is null and q.is_enabled
        and (select count(*) from (
          select from webhook_deliveries d where d.endpoint_id = r.endpoint_id and d.status = 'pending' and d.is_replay
          limit ${parameter('unfinishedMax')}) unfinished) < ${parameter('unfinishedMax')}
      order by r.id <= ${parameter('after')}::uuid, r.id
      limit 1 for update of r skip locked`,
  ),
)

const STORE = compiledOnce(
  (tx: Transaction<Tables>, parameter: ParameterOf<{ endpointId: string; merchantId: string; events: string }>) =>
    compilable(
      tx,
      sql`with given as materialized (
          select * from jsonb_to_recordset(${parameter('events')}::jsonb) as g (n int, payment_id uuid, sequence int, type text,
            event_at timestamptz, body text)),
        payloads as (
          insert into webhook_payloads (payment_id, sequence, body) select payment_id, sequence, body from given
          on conflict do nothing),
        replayed as (
          insert into webhook_deliveries as d (endpoint_id, merchant_id, payment_id, sequence, type, event_at, is_replay)
          select ${parameter('endpointId')}::uuid, ${parameter('merchantId')}::uuid, payment_id, sequence, type, event_at, true
          from given order by sequence, n
          on conflict (payment_id, sequence, endpoint_id) do update
            set status = 'pending', attempts = 0, is_replay = true, due_at = clock_timestamp(), retry_at = null,
              early_after = null, claim_token = null, finished_at = null, fault = null
            where d.status in ('succeeded', 'expired'))
        update webhook_queues set due_at = least(due_at, now()) where endpoint_id = ${parameter('endpointId')}::uuid`,
    ),
)
