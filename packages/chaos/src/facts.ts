import { openClient } from '@cashflow/testing'
import type { FinalList } from './final-requests.ts'
import type { Feed } from './followers.ts'
import type { Key } from './merchants.ts'
import type { Sighting, Unobserved } from './observer.ts'
import type { PaymentRequest } from './payment-request.ts'
import type { Charge, ProviderRequest, ProviderResponse } from './provider.ts'
import type { WebhookEndpoint } from './webhook-endpoints.ts'

export interface PaymentRow {
  readonly id: string
  readonly merchantId: string
  readonly reference: string
  readonly amountMinor: number
  readonly currency: string
  readonly metadata: Readonly<Record<string, string>> | null
  readonly idempotencyKey: string | null
  readonly status: 'PENDING' | 'SUCCESS' | 'FAILED'
  readonly failureCode: string | null
  readonly attempts: number
  readonly parked: boolean
}

export interface EventRow {
  readonly paymentId: string
  readonly sequence: number
  readonly type: string
  /** When its transaction committed, in milliseconds since 1970. Null where PostgreSQL does not know it. */
  readonly committedAt: number | null
}

export interface LetterRow {
  readonly key: string
  readonly topic: string
  readonly source: string
  readonly reason: string
  readonly resolved: boolean
  /** When the dead letter was stored, in milliseconds since 1970. */
  readonly diedAt: number
}

/** A delivery of an event to an endpoint. */
export interface DeliveryRow {
  readonly endpointId: string
  readonly paymentId: string
  readonly sequence: number
  readonly status: 'pending' | 'waiting' | 'succeeded' | 'expired'
  readonly isReplay: boolean
}

/**
 * What is not finished: payments that are neither settled nor parked, messages in the outbox, and what webhooks still have to
 * do.
 */
export type RowCounts = Readonly<Record<'pending' | 'outbox' | 'scheduled' | 'webhooks', number>>

/** The time in which a primary was lost and its standby was promoted, in milliseconds since 1970. */
export interface Failover {
  readonly from: number
  readonly to: number
}

/** Everything that is known about a run at its end: from clients, provider, queues, services and PostgreSQL. */
export interface Facts {
  /** In the order of lists: the newest first. */
  readonly payments: readonly PaymentRow[]
  readonly events: readonly EventRow[]
  readonly letters: readonly LetterRow[]
  readonly deliveries: readonly DeliveryRow[]
  /** What is left, with the messages that wait or are being handled, by queue. */
  readonly backlog: RowCounts & { readonly queues: Readonly<Record<string, number>> }
  readonly paymentRequests: readonly PaymentRequest[]
  readonly keys: readonly Key[]
  /** What each API listed of each merchant at the end. */
  readonly lists: readonly FinalList[]
  readonly feeds: readonly Feed[]
  /** All endpoints, also those that were deleted. */
  readonly endpoints: readonly WebhookEndpoint[]
  /** The events that an API showed at the end, by their ids, as it showed them. */
  readonly shownEvents: ReadonlyMap<string, Readonly<Record<string, unknown>>>
  /** Number of APIs through which each payment was read, and each request with a key repeated, at the end. */
  readonly apis: number
  readonly requests: readonly ProviderRequest[]
  readonly charges: readonly Charge[]
  readonly responses: readonly ProviderResponse[]
  readonly sightings: readonly Sighting[]
  /** Faults that could not be caused, or not be undone. */
  readonly faultsLeft: readonly string[]
  /** Work that an instance did not do when it was alone. */
  readonly idle: readonly string[]
  /** Services that ended without a signal, or ended with an unexpected code. */
  readonly exits: readonly string[]
  readonly unobserved: readonly Unobserved[]
  /** When relays logged that RabbitMQ had refused messages, in milliseconds since 1970. */
  readonly refusals: readonly number[]
  readonly failovers: readonly Failover[]
}

/** Reads the stored rows in one snapshot. */
export async function readStored(
  databaseUrl: string,
): Promise<Pick<Facts, 'payments' | 'events' | 'letters' | 'deliveries'>> {
  const client = await openClient(databaseUrl)
  try {
    await client.query('begin isolation level repeatable read read only')
    const all = async <Row extends object>(text: string): Promise<Row[]> => (await client.query<Row>(text)).rows
    return {
      payments: await all<PaymentRow>(`
        select id, merchant_id as "merchantId", reference, amount_minor::float8 as "amountMinor", currency, metadata,
          idempotency_key as "idempotencyKey", status, failure_code as "failureCode", attempts,
          parked_at is not null as parked
        from payments order by created_at desc, id desc`),
      events: await all<EventRow>(`
        select payment_id as "paymentId", sequence, type,
          case when current_setting('track_commit_timestamp')::boolean
            then extract(epoch from pg_xact_commit_timestamp(xid::xid))::float8 * 1000 end as "committedAt"
        from payment_events order by payment_id, sequence`),
      letters: await all<LetterRow>(`
        select key, topic, source, reason, resolved_at is not null as resolved,
          extract(epoch from died_at)::float8 * 1000 as "diedAt" from dead_letters`),
      deliveries: await all<DeliveryRow>(`
        select endpoint_id as "endpointId", payment_id as "paymentId", sequence, status, is_replay as "isReplay"
        from webhook_deliveries`),
    }
  } finally {
    await client.end()
  }
}
