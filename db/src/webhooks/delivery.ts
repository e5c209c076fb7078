import { type Kysely, type Selectable, sql } from 'kysely'
import { isOfMerchant } from '../payments/row.ts'
import type { Tables } from '../tables.ts'
import type { DeliveryStatus, WebhookDeliveriesTable } from './tables.ts'

/** The delivery of one event to one endpoint. */
export interface Delivery {
  /** A bigint, as text. */
  readonly id: string
  readonly endpointId: string
  readonly paymentId: string
  readonly sequence: number
  readonly type: string
  readonly status: DeliveryStatus
  /** Failed attempts of the present schedule. */
  readonly attempts: number
  readonly isReplay: boolean
  /** Null unless the delivery is pending. */
  readonly nextAttemptAt: Date | null
  readonly lastAttemptAt: Date | null
  /** Null if there was no answer. */
  readonly lastStatus: number | null
  readonly lastError: string | null
  readonly createdAt: Date
  readonly finishedAt: Date | null
}

/** An event of a payment, by its public id. */
export interface EventName {
  readonly merchantId: string
  readonly paymentId: string
  readonly sequence: number
}

/** The columns of `toDelivery`. */
export const DELIVERY_COLUMNS = [
  ...(['id', 'endpoint_id', 'payment_id', 'sequence', 'type', 'status', 'attempts', 'is_replay', 'due_at'] as const),
  ...(['last_attempt_at', 'last_status', 'last_error', 'created_at', 'finished_at'] as const),
] as const

type DeliveryRow = Pick<Selectable<WebhookDeliveriesTable>, (typeof DELIVERY_COLUMNS)[number]>

export function toDelivery(row: DeliveryRow): Delivery {
  return {
    id: row.id,
    endpointId: row.endpoint_id,
    paymentId: row.payment_id,
    sequence: row.sequence,
    type: row.type,
    status: row.status,
    attempts: row.attempts,
    isReplay: row.is_replay,
    nextAttemptAt: row.status === 'pending' ? row.due_at : null,
    lastAttemptAt: row.last_attempt_at,
    lastStatus: row.last_status,
    lastError: row.last_error,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
  }
}

/** The event's place in the feed. Undefined if the merchant has no such event. */
export async function findEventPlace(db: Kysely<Tables>, { merchantId, paymentId, sequence }: EventName) {
  return await db
    .selectFrom('payment_events as e')
    .select(['e.xid', 'e.id', 'e.created_at'])
    .where('e.payment_id', '=', paymentId)
    .where('e.sequence', '=', sequence)
    .where(isOfMerchant(sql.val(merchantId), 'e'))
    .executeTakeFirst()
}
