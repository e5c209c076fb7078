import { type Kysely, sql } from 'kysely'
import type { Tables } from '../tables.ts'
import { DELIVERY_COLUMNS, type Delivery, toDelivery } from '../webhooks/delivery.ts'
import type { DeliveryAttempt } from '../webhooks/list-deliveries.ts'

/** A delivery of one of the payment's events. */
export interface TimelineDelivery extends Delivery {
  /** Host and port of the endpoint. A URL may contain what only its owner should see. Null if it was deleted. */
  readonly host: string | null
  /** False if nothing is sent to the endpoint now. */
  readonly isEnabled: boolean
  /** The last 20 attempts, in their order. */
  readonly attemptsMade: readonly Omit<DeliveryAttempt, 'answer'>[]
}

/** A payment has two events and its merchant at most 16 endpoints, except those that were deleted a short time ago. */
const DELIVERIES_MAX = 200
/** Attempts of a delivery, the last ones. */
const ATTEMPTS_MAX = 20

/** Reads the deliveries of a payment's events, in the order of the events. */
export async function readDeliveriesOf(db: Kysely<Tables>, paymentId: string): Promise<TimelineDelivery[]> {
  const rows = await db
    .selectFrom('webhook_deliveries as d')
    .leftJoin('webhook_endpoints as e', (on) => on.onRef('e.id', '=', 'd.endpoint_id').on('e.deleted_at', 'is', null))
    .select(DELIVERY_COLUMNS.map((column) => `d.${column}` as const))
    .select(['e.url', 'e.disabled_at'])
    .where('d.payment_id', '=', paymentId)
    .orderBy('d.sequence')
    .orderBy('d.endpoint_id')
    .limit(DELIVERIES_MAX)
    .execute()
  if (rows.length === 0) return []
  const attempts = Map.groupBy(await readAttempts(db, paymentId), ({ deliveryId }) => deliveryId)
  return rows.map((row) => ({
    ...toDelivery(row),
    host: row.url === null ? null : hostOf(row.url),
    isEnabled: row.url !== null && row.disabled_at === null,
    attemptsMade: (attempts.get(row.id) ?? []).map(({ deliveryId, ...attempt }) => attempt),
  }))
}

async function readAttempts(db: Kysely<Tables>, paymentId: string) {
  return await db
    .selectFrom('webhook_deliveries as d')
    .innerJoinLateral(
      (eb) =>
        eb
          .selectFrom('webhook_attempts as a')
          .select(['a.id', 'a.delivery_id', 'a.at', 'a.duration_ms', 'a.status', 'a.error'])
          .whereRef('a.endpoint_id', '=', 'd.endpoint_id')
          .whereRef('a.delivery_id', '=', 'd.id')
          .orderBy('a.id', 'desc')
          .limit(sql.lit(ATTEMPTS_MAX))
          .as('a'),
      (on) => on.onTrue(),
    )
    .select(['a.delivery_id as deliveryId', 'a.at', 'a.duration_ms as durationMs', 'a.status', 'a.error'])
    .where('d.payment_id', '=', paymentId)
    .orderBy('a.id')
    .limit(DELIVERIES_MAX * ATTEMPTS_MAX)
    .execute()
}

function hostOf(url: string): string {
  return URL.parse(url)?.host ?? url
}
