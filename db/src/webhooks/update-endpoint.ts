import { defined } from '@cashflow/async'
import { type Kysely, sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import { type Endpoint, type EndpointName, type EndpointSettings, findEndpoint, lockEndpoint } from './endpoint.ts'
import { type CursorPlace, lockCursor, readHorizon, skipToHorizon } from './lock-cursor.ts'
import type { DisabledReason } from './tables.ts'

/** Members that are undefined stay as they are. */
export type EndpointChange = {
  readonly [Name in keyof EndpointSettings]?: EndpointSettings[Name] | undefined
} & { readonly isEnabled?: boolean | undefined }

/**
 * Changes an endpoint. Its types count from the next event that is fanned out. Once it is enabled, it gets every event that is
 * committed later, and its unfinished deliveries go on. The events that it missed stay missed until a replay.
 *
 * @returns undefined if the merchant has no such endpoint
 */
export function updateEndpoint(
  db: Kysely<Tables>,
  change: EndpointName & EndpointChange,
): Promise<Endpoint | undefined> {
  return db.transaction().execute((tx) => changeEndpoint(tx, change))
}

/** The same in a transaction of the caller, which has locked nothing before. */
export async function changeEndpoint(
  tx: Transaction<Tables>,
  { merchantId, id, isEnabled, types, ...settings }: EndpointName & EndpointChange,
): Promise<Endpoint | undefined> {
  const place = await lockCursor(tx, merchantId)
  const row = await lockEndpoint(tx, { merchantId, id })
  if (!row) return undefined
  const change = Object.entries({ ...settings, types: types && [...types] }).filter(([, to]) => to !== undefined)
  if (types === null || change.length > 0)
    await tx
      .updateTable('webhook_endpoints')
      .set({ ...Object.fromEntries(change), ...(types !== undefined && { whole_since: NOW }) })
      .where('id', '=', id)
      .execute()
  if (settings.url !== undefined && settings.url !== row.url) await forgetAnswers(tx, id)
  if (settings.ordering === 'none' && row.ordering === 'payment') await releaseWaiting(tx, id)
  if (isEnabled === true && row.disabled_at !== null) await enable(tx, { merchantId, id })
  if (isEnabled === false && row.disabled_at === null)
    await disable(tx, { id, reason: 'requested', place: defined(place, 'place of the cursor') })
  return defined(await findEndpoint(tx, { merchantId, id }), 'changed endpoint')
}

// As `sql`: the builder has no such clock.
const NOW = sql<Date>`clock_timestamp()`

/** Makes the deliveries due that wait for an earlier event of their payment. */
async function releaseWaiting(tx: Transaction<Tables>, endpointId: string): Promise<void> {
  // Locks the queue first, as every change of its deliveries.
  await tx.updateTable('webhook_queues').set({ due_at: NOW }).where('endpoint_id', '=', endpointId).execute()
  await tx
    .updateTable('webhook_deliveries')
    .set({ status: 'pending', due_at: NOW })
    .where('endpoint_id', '=', endpointId)
    .where('status', '=', 'waiting')
    .execute()
}

/** The new URL has answered nothing yet: it is tried now, and has its whole time until it is disabled. */
async function forgetAnswers(tx: Transaction<Tables>, endpointId: string): Promise<void> {
  await tx
    .updateTable('webhook_queues')
    .set({ due_at: NOW, failing_since: null, failures: 0, held_until: null })
    .where('endpoint_id', '=', endpointId)
    .execute()
}

async function enable(tx: Transaction<Tables>, { merchantId, id }: EndpointName): Promise<void> {
  const horizon = await readHorizon(tx)
  await skipToHorizon(tx, { merchantId, horizon })
  await tx
    .updateTable('webhook_endpoints')
    .set({ disabled_at: null, disabled_reason: null, start_xid: horizon.xid, whole_since: NOW })
    .where('id', '=', id)
    .execute()
  await tx
    .updateTable('webhook_queues')
    .set({
      is_enabled: true,
      due_at: NOW,
      // One attempt first. Once that succeeds, all pending deliveries are sent, slowly at first.
      ...{ is_failing: true, is_ramped: true, recovering_since: null, recovered: 0 },
      ...{ failing_since: null, failures: 0, held_until: null },
    })
    .where('endpoint_id', '=', id)
    .execute()
}

/**
 * Disables an endpoint that is enabled. The first event that it misses is the next one to be fanned out, unless it has missed
 * an earlier one already.
 *
 * @param tx has locked the merchant's cursor, which is at `place`
 */
export async function disable(
  tx: Transaction<Tables>,
  { id, reason, place }: { id: string; reason: DisabledReason; place: CursorPlace },
): Promise<void> {
  await tx
    .updateTable('webhook_endpoints')
    .set({ disabled_at: NOW, disabled_reason: reason })
    .where('id', '=', id)
    .execute()
  await tx
    .updateTable('webhook_endpoints')
    .set({ missed_epoch: place.epoch, missed_xid: place.xid, missed_id: place.id, missed_at: place.reachedAt })
    .where('id', '=', id)
    .where('missed_epoch', 'is', null)
    .execute()
  await tx.updateTable('webhook_queues').set({ is_enabled: false }).where('endpoint_id', '=', id).execute()
}
