import { eventId, statusAfter } from '@cashflow/domain'
import { type Kysely, sql } from 'kysely'
import { ALL_UUIDS, type Page, placeOfUuid, type Span, uuidAt } from '../postgres/pages.ts'
import type { Tables } from '../tables.ts'
import { type Differ, type Finding, shortened } from './finding.ts'

interface VerifiedDelivery {
  readonly id: number
  readonly merchant_id: string
  /** Null if the endpoint is missing. */
  readonly endpoint_merchant_id: string | null
  readonly type: string
  readonly status: string
  readonly last_status: number | null
  readonly is_claimed: boolean
}

/** An event with its deliveries. Only what is compared is read: each column costs time for each event. */
export interface DeliveredEvent {
  readonly payment_id: string
  readonly sequence: number
  /** Null if there is no such event. */
  readonly merchant_id: string | null
  readonly type: string | null
  readonly failure_code: string | null
  /** In milliseconds since 1970. */
  readonly created_ms: number | null
  /** Of the payment's first event. */
  readonly amount: string | null
  readonly currency: string | null
  /** The bytes that are signed. Null if they are missing. */
  readonly body: string | null
  readonly deliveries: number
  /** Deliveries that do not agree with the event, or with themselves. Null without one. */
  readonly differing: readonly VerifiedDelivery[] | null
}

export interface DeliveredPage extends Page {
  readonly events: readonly DeliveredEvent[]
}

/** A place is a payment's id and then a sequence, an `int`. */
const SEQUENCE_BITS = 31n
const SEQUENCES = 2n ** SEQUENCE_BITS

/** The places of the deliveries of these payments. */
export function spanOfDeliveries({ after, to }: Span = ALL_UUIDS): Span {
  return { after: (after + 1n) * SEQUENCES - 1n, to: (to + 1n) * SEQUENCES - 1n }
}

/** Reads events that have deliveries, with these and the event's payload. One statement, so one snapshot. */
export async function readDelivered(
  db: Kysely<Tables>,
  { after, to, limit }: Span & { limit: number },
): Promise<DeliveredPage> {
  const [from, last] = [placeAt(after + 1n), placeAt(to)]
  // As `sql`: the builder has no row comparison and no JSON of rows.
  const { rows } = await sql<DeliveredEvent>`
    with batch as materialized (
      select distinct payment_id, sequence from webhook_deliveries
      where (payment_id, sequence) >= (${from.id}::uuid, ${from.sequence}::int)
        and (payment_id, sequence) <= (${last.id}::uuid, ${last.sequence}::int)
      order by payment_id, sequence limit ${limit}
    )
    select b.payment_id, b.sequence, e.merchant_id, e.type, e.data ->> 'failure_code' as failure_code,
      floor(extract(epoch from e.created_at) * 1000)::float8 as created_ms,
      f.data ->> 'amount' as amount, f.data ->> 'currency' as currency, w.body, d.deliveries, d.differing
    from batch b
    left join payment_events e on e.payment_id = b.payment_id and e.sequence = b.sequence
    left join payment_events f on f.payment_id = b.payment_id and f.sequence = 1
    left join webhook_payloads w on w.payment_id = b.payment_id and w.sequence = b.sequence
    cross join lateral (
      select count(*)::int as deliveries,
        jsonb_agg(jsonb_build_object('id', d.id, 'merchant_id', d.merchant_id, 'endpoint_merchant_id', p.merchant_id,
          'type', d.type, 'status', d.status, 'last_status', d.last_status, 'is_claimed', d.claim_token is not null))
        filter (where (d.merchant_id = e.merchant_id and p.merchant_id = e.merchant_id and d.type = e.type
          and (d.claim_token is null or d.status in ('pending', 'waiting'))
          and (d.status <> 'succeeded' or d.last_status between 200 and 299)) is not true) as differing
      from webhook_deliveries d left join webhook_endpoints p on p.id = d.endpoint_id
      where d.payment_id = b.payment_id and d.sequence = b.sequence) d
    order by b.payment_id, b.sequence`.execute(db)
  const end = rows.length === limit ? rows.at(-1) : undefined
  return { events: rows, upto: end ? placeOfUuid(end.payment_id) * SEQUENCES + BigInt(end.sequence) : to }
}

function placeAt(place: bigint): { id: string; sequence: string } {
  return { id: uuidAt(place / SEQUENCES), sequence: String(place % SEQUENCES) }
}

/** Compares an event with its deliveries and its payload. Deliveries without an event are left to the caller. */
export function checkDelivered(event: DeliveredEvent): Finding[] {
  const findings: Finding[] = []
  const differ: Differ = (what, expected, found) => {
    if (expected !== found)
      findings.push({ paymentId: event.payment_id, what, expected: shortened(expected), found: shortened(found) })
  }
  for (const delivery of event.differing ?? []) {
    const of = `delivery ${delivery.id} of event ${event.sequence}`
    differ(`merchant of ${of}`, event.merchant_id, delivery.merchant_id)
    differ(`merchant of the endpoint of ${of}`, event.merchant_id, delivery.endpoint_merchant_id)
    differ(`type of ${of}`, event.type, delivery.type)
    const { status, last_status } = delivery
    if (status === 'succeeded' || status === 'expired')
      differ(`claim of ${of}`, 'none', delivery.is_claimed ? 'a claim' : 'none')
    if (status === 'succeeded' && !(last_status !== null && last_status >= 200 && last_status < 300))
      differ(`last status of ${of}`, 'from 200 to 299', String(last_status))
  }
  checkPayload(event, differ)
  return findings
}

/** A payload has the facts of its event, and the amount and currency of the payment's first event. */
function checkPayload({ body, payment_id, sequence, type, ...event }: DeliveredEvent, differ: Differ): void {
  const of = `payload of event ${sequence}`
  const payload = body === null ? undefined : parsed(body)
  if (!payload) {
    differ(of, 'JSON', body)
    return
  }
  const found = membersOf(payload.data)
  const compare = (name: string, expected: string | number | null, value: unknown = null) => {
    if (expected !== value) differ(`${name} of the ${of}`, textOf(expected), textOf(value))
  }
  compare('type', type, payload.type)
  compare('time', event.created_ms, Date.parse(String(payload.timestamp)))
  compare('id', payment_id, found.id)
  compare('sequence', sequence, found.sequence)
  compare('previous event', sequence > 1 ? eventId(payment_id, sequence - 1) : null, found.previous_event_id)
  compare('failure code', event.failure_code, found.failure_code)
  const status = statusAfter(type ?? '')
  if (status !== undefined) compare('status', status, found.status)
  if (event.currency === null) return
  compare('currency', event.currency, found.currency)
  // Numbers: JSON has the amount as one.
  compare('amount', Number(event.amount), found.amount)
}

function parsed(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return membersOf(JSON.parse(body))
  } catch {
    return undefined
  }
}

const membersOf = (value: unknown) =>
  (typeof value === 'object' && value !== null ? value : {}) as Readonly<Record<string, unknown>>

const textOf = (value: unknown) => (value === null || value === undefined ? null : String(value))
