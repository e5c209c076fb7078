import type { Kysely } from 'kysely'
import type { Tables } from '../tables.ts'
import { DELIVERY_COLUMNS, type Delivery, type EventName, findEventPlace, toDelivery } from './delivery.ts'
import type { DeliveryStatus } from './tables.ts'

export interface DeliveryListOptions {
  readonly merchantId: string
  readonly endpointId?: string | undefined
  readonly status?: DeliveryStatus | undefined
  readonly event?: Omit<EventName, 'merchantId'> | undefined
  /** The id of the last delivery of the page before. */
  readonly before?: string | undefined
  readonly limit: number
}

const ID_MAX = '9223372036854775807'

/** Endpoints of a merchant that are not deleted, by the index that the limit of 16 needs. */
const endpoints = (
  db: Kysely<Tables>,
  { merchantId, endpointId }: { merchantId: string; endpointId?: string | undefined },
) =>
  db
    .selectFrom('webhook_endpoints as e')
    .where('e.merchant_id', '=', merchantId)
    .where('e.deleted_at', 'is', null)
    .$if(endpointId !== undefined, (qb) => qb.where('e.id', '=', endpointId ?? ''))

/** Lists deliveries to the endpoints of a merchant, newest first. It reads at most `limit` of each endpoint. */
export async function listDeliveries(db: Kysely<Tables>, options: DeliveryListOptions): Promise<Delivery[]> {
  const { status, event, before = ID_MAX, limit } = options
  const rows = await endpoints(db, options)
    .innerJoinLateral(
      (eb) =>
        eb
          .selectFrom('webhook_deliveries as d')
          .select(DELIVERY_COLUMNS.map((column) => `d.${column}` as const))
          .whereRef('d.endpoint_id', '=', 'e.id')
          .where('d.id', '<', before)
          .$if(status !== undefined, (qb) => qb.where('d.status', '=', status ?? 'pending'))
          .$if(event !== undefined, (qb) =>
            qb.where('d.payment_id', '=', event?.paymentId ?? '').where('d.sequence', '=', event?.sequence ?? 0),
          )
          .orderBy('d.id', 'desc')
          .limit(limit)
          .as('found'),
      (on) => on.onTrue(),
    )
    .selectAll('found')
    .orderBy('found.id', 'desc')
    .limit(limit)
    .execute()
  return rows.map(toDelivery)
}

export interface DeliveryAttempt {
  readonly at: Date
  readonly durationMs: number
  /** Null if there was no answer. */
  readonly status: number | null
  readonly error: string | null
  /** The first kilobyte of the answer. */
  readonly answer: string | null
}

export interface DeliveryWithAttempts extends Delivery {
  readonly attemptsMade: readonly DeliveryAttempt[]
}

const ATTEMPTS_SHOWN = 50

/**
 * The deliveries of an event, the oldest first, each with its last 50 attempts in their order.
 *
 * @returns undefined if the merchant has no such event
 */
export async function findEventDeliveries(
  db: Kysely<Tables>,
  event: EventName,
): Promise<DeliveryWithAttempts[] | undefined> {
  if (!(await findEventPlace(db, event))) return undefined
  const rows = await endpoints(db, event)
    .innerJoin('webhook_deliveries as d', 'd.endpoint_id', 'e.id')
    .select(DELIVERY_COLUMNS.map((column) => `d.${column}` as const))
    .where('d.payment_id', '=', event.paymentId)
    .where('d.sequence', '=', event.sequence)
    .orderBy('d.id')
    .execute()
  const attempts = Map.groupBy(await attemptsOf(db, event), ({ deliveryId }) => deliveryId)
  return rows.map((row) => ({
    ...toDelivery(row),
    attemptsMade: (attempts.get(row.id) ?? []).map(({ deliveryId, ...attempt }) => attempt),
  }))
}

async function attemptsOf(db: Kysely<Tables>, event: EventName) {
  return await endpoints(db, event)
    .innerJoin('webhook_deliveries as d', 'd.endpoint_id', 'e.id')
    .innerJoinLateral(
      (eb) =>
        eb
          .selectFrom('webhook_attempts as a')
          .select(['a.id', 'a.delivery_id', 'a.at', 'a.duration_ms', 'a.status', 'a.error', 'a.answer'])
          .whereRef('a.endpoint_id', '=', 'd.endpoint_id')
          .whereRef('a.delivery_id', '=', 'd.id')
          .orderBy('a.id', 'desc')
          .limit(ATTEMPTS_SHOWN)
          .as('made'),
      (on) => on.onTrue(),
    )
    .select(['made.delivery_id as deliveryId', 'made.at', 'made.duration_ms as durationMs'])
    .select(['made.status', 'made.error', 'made.answer'])
    .where('d.payment_id', '=', event.paymentId)
    .where('d.sequence', '=', event.sequence)
    .orderBy('made.id')
    .execute()
}
