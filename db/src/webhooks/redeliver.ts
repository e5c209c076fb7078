import { type Kysely, sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import { DELIVERY_COLUMNS, type Delivery, type EventName, findEventPlace, toDelivery } from './delivery.ts'
import type { DeliveryFault } from './tables.ts'

/**
 * Makes the deliveries of an event due again, also finished ones, with a new schedule. One that is being sent, or that
 * waits for an earlier event of its payment, stays as it is. The deliveries of a disabled endpoint wait until it is enabled.
 *
 * @param endpointId undefined for all endpoints that have a delivery of the event
 * @returns the deliveries; none if the endpoint has no delivery of the event; undefined if the merchant has no such event
 */
export function redeliver(db: Kysely<Tables>, named: Redelivery): Promise<Delivery[] | undefined> {
  return db.transaction().execute((tx) => redeliverIn(tx, named))
}

export type Redelivery = EventName & { readonly endpointId?: string | undefined }

/** The same in a transaction of the caller, which has locked nothing before. */
export async function redeliverIn(
  tx: Transaction<Tables>,
  { endpointId, ...event }: Redelivery,
): Promise<Delivery[] | undefined> {
  const { merchantId, paymentId, sequence } = event
  if (!(await findEventPlace(tx, event))) return undefined
  // In the order in which every process locks queues.
  const queues = await tx
    .selectFrom('webhook_endpoints as e')
    .innerJoin('webhook_queues as q', 'q.endpoint_id', 'e.id')
    .innerJoin('webhook_deliveries as d', 'd.endpoint_id', 'e.id')
    .select('q.endpoint_id')
    .where('e.merchant_id', '=', merchantId)
    .where('e.deleted_at', 'is', null)
    .where('d.payment_id', '=', paymentId)
    .where('d.sequence', '=', sequence)
    .$if(endpointId !== undefined, (qb) => qb.where('e.id', '=', endpointId ?? ''))
    .orderBy('q.endpoint_id')
    .forUpdate('q')
    .execute()
  if (queues.length === 0) return []
  const ids = queues.map(({ endpoint_id }) => endpoint_id)
  const now = sql<Date>`clock_timestamp()`
  await tx
    .updateTable('webhook_deliveries')
    .set((eb) => ({
      status: 'pending',
      attempts: 0,
      retry_at: null,
      early_after: null,
      // A finished one is sent normally. An unfinished one keeps what it has: an unordered one would wait for a held one.
      fault: sql<DeliveryFault | null>`case when ${eb.ref('finished_at')} is null then ${eb.ref('fault')} end`,
      is_replay: sql<boolean>`is_replay or ${eb.ref('finished_at')} is not null`,
      due_at: now,
      finished_at: null,
    }))
    .where('endpoint_id', 'in', ids)
    .where('payment_id', '=', paymentId)
    .where('sequence', '=', sequence)
    .where('claim_token', 'is', null)
    .where('status', '<>', 'waiting')
    .execute()
  await tx
    .updateTable('webhook_queues')
    .set({ due_at: sql<Date>`least(due_at, clock_timestamp())` })
    .where('endpoint_id', 'in', ids)
    .execute()
  const rows = await tx
    .selectFrom('webhook_deliveries')
    .select(DELIVERY_COLUMNS)
    .where('endpoint_id', 'in', ids)
    .where('payment_id', '=', paymentId)
    .where('sequence', '=', sequence)
    .orderBy('id')
    .execute()
  return rows.map(toDelivery)
}
