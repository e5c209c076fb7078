import type { Kysely, Selectable, Transaction } from 'kysely'
import { findPositionAt } from '../events/position-at.ts'
import type { Tables } from '../tables.ts'
import { findEventPlace } from './delivery.ts'
import { lockEndpoint } from './endpoint.ts'
import { type CursorPlace, type Horizon, readHorizon } from './lock-cursor.ts'
import type { WebhookEndpointsTable } from './tables.ts'

/** Where a replay begins: after an event, at a time, or at the first event that the endpoint missed. */
export type ReplayStart =
  | { readonly from: 'event'; readonly paymentId: string; readonly sequence: number }
  | { readonly from: 'time'; readonly time: Date }
  | { readonly from: 'missed' }

export interface Replay {
  readonly id: string
  readonly endpointId: string
  /** Null for all types. */
  readonly types: readonly string[] | null
  readonly createdAt: Date
}

export type StartedReplay =
  | { readonly outcome: 'started'; readonly replay: Replay }
  | { readonly outcome: 'unknown-endpoint' | 'unknown-event' }
  /** The endpoint is disabled, has missed nothing, or has a replay that is not finished. */
  | { readonly outcome: 'disabled' | 'nothing-missed' | 'running' }

export interface NewReplay {
  readonly merchantId: string
  readonly endpointId: string
  /** The id of the replay. A repeated call with it finds the replay that the first one started. */
  readonly id: string
  readonly start: ReplayStart
  /** Undefined for the types of the endpoint. */
  readonly types?: readonly string[] | undefined
}

/**
 * Starts to deliver past events again, also those that were delivered before. The replay ends with the events that were
 * committed when it started, and a few from before its start may come too. What the endpoint missed counts as delivered once
 * a replay of all its types from there has started.
 */
export function startReplay(db: Kysely<Tables>, replay: NewReplay): Promise<StartedReplay> {
  return db.transaction().execute((tx) => startReplayIn(tx, replay))
}

/** The same in a transaction of the caller, which has locked nothing before. */
export async function startReplayIn(
  tx: Transaction<Tables>,
  { merchantId, endpointId, id, start, types }: NewReplay,
): Promise<StartedReplay> {
  const endpoint = await lockEndpoint(tx, { merchantId, id: endpointId })
  if (!endpoint) return { outcome: 'unknown-endpoint' }
  const ofEndpoint = tx.selectFrom('webhook_replays').select(REPLAY_COLUMNS).where('endpoint_id', '=', endpointId)
  const earlier = await ofEndpoint.where('id', '=', id).executeTakeFirst()
  if (earlier) return { outcome: 'started', replay: toReplay(earlier) }
  if (await ofEndpoint.where('finished_at', 'is', null).executeTakeFirst()) return { outcome: 'running' }
  if (endpoint.disabled_at !== null) return { outcome: 'disabled' }
  const horizon = await readHorizon(tx)
  const place = await placeOf(tx, { merchantId, endpoint, horizon, start })
  if (!place) return { outcome: start.from === 'event' ? 'unknown-event' : 'nothing-missed' }
  const replay = await tx
    .insertInto('webhook_replays')
    .values({
      ...{ id, endpoint_id: endpointId, merchant_id: merchantId },
      types: types ? [...types] : endpoint.types,
      ...{ epoch: place.epoch, xid: place.xid, place_id: place.id, reached_at: place.reachedAt },
      end_xid: horizon.xid,
    })
    .returning(REPLAY_COLUMNS)
    .executeTakeFirstOrThrow()
  if (start.from === 'missed' && types === undefined) await forgetMissed(tx, endpointId)
  return { outcome: 'started', replay: toReplay(replay) }
}

const REPLAY_COLUMNS = ['id', 'endpoint_id', 'types', 'created_at'] as const

const toReplay = (row: { id: string; endpoint_id: string; types: string[] | null; created_at: Date }): Replay => ({
  id: row.id,
  endpointId: row.endpoint_id,
  types: row.types,
  createdAt: row.created_at,
})

async function placeOf(
  tx: Transaction<Tables>,
  {
    merchantId,
    endpoint,
    horizon: { epoch },
    start,
  }: { merchantId: string; endpoint: Selectable<WebhookEndpointsTable>; horizon: Horizon; start: ReplayStart },
): Promise<CursorPlace | undefined> {
  switch (start.from) {
    case 'event': {
      const event = await findEventPlace(tx, { ...start, merchantId })
      return event && { epoch, xid: event.xid, id: event.id, reachedAt: event.created_at }
    }
    case 'time':
      return { epoch, ...(await findPositionAt(tx, start.time)), reachedAt: start.time }
    case 'missed': {
      const { missed_epoch, missed_xid: xid, missed_id: id, missed_at: reachedAt } = endpoint
      if (missed_epoch === null || xid === null || id === null || reachedAt === null) return undefined
      return { epoch: missed_epoch, xid, id, reachedAt }
    }
    default:
      return start satisfies never
  }
}

async function forgetMissed(tx: Transaction<Tables>, endpointId: string): Promise<void> {
  await tx
    .updateTable('webhook_endpoints')
    .set({ missed_epoch: null, missed_xid: null, missed_id: null, missed_at: null })
    .where('id', '=', endpointId)
    .execute()
}
