import { WORK_TOPICS } from '@cashflow/domain'
import { type Kysely, type Selectable, sql } from 'kysely'
import { type Page, placeOfUuid, uuidAt } from '../postgres/pages.ts'
import type { PaymentEventsTable, PaymentsTable, Tables } from '../tables.ts'

/** A payment's row, as far as its events say the same. */
export interface VerifiedPayment
  extends Pick<
    Selectable<PaymentsTable>,
    'merchant_id' | 'reference' | 'amount_minor' | 'currency' | 'failure_code' | 'created_at' | 'settled_at'
  > {
  readonly status: string
  /** As hexadecimal digits: a buffer costs much more to read. */
  readonly last_hash: string | null
  /** SHA-256 over metadata and idempotency key, which no event has. Null without both. */
  readonly details: string | null
  /** The column that keeps it PENDING: it is not parked, and neither redriven nor free for a worker within a day. */
  readonly stuck: 'redrive_at' | 'lease_until' | null
  /** True if a claim holds it. */
  readonly is_claimed: boolean
  /** Whether an open dead letter shows that it is parked. Null unless it is. */
  readonly has_letter: boolean | null
}

export interface VerifiedEvent
  extends Pick<
    Selectable<PaymentEventsTable>,
    'merchant_id' | 'sequence' | 'type' | 'data' | 'actor' | 'request_id' | 'created_at'
  > {
  /** The events of a payment are written in the order of these numbers. */
  readonly event_id: number
  /** As hexadecimal digits. */
  readonly hash: string | null
  readonly has_trace: boolean
}

/** A payment with its events. */
export interface History {
  readonly id: string
  /** Undefined if only events have this id. */
  readonly payment: VerifiedPayment | undefined
  /** In the order of their sequence. */
  readonly events: readonly VerifiedEvent[]
  /** True if it has more events than are read of one payment. */
  readonly isCut: boolean
}

export interface HistoryPage extends Page {
  /** In the order of their ids. */
  readonly histories: readonly History[]
}

type Row = { id: string } & (({ kind: 'payment' } & VerifiedPayment) | ({ kind: 'event' } & VerifiedEvent))

/**
 * Reads payments with their events, dead letters, and events without a payment. One statement, so one snapshot: a payment
 * that is created or settled at the same time is read as it was before or after that.
 *
 * @param limit maximum number of payments
 */
export async function readHistories(
  db: Kysely<Tables>,
  after: bigint,
  to: bigint,
  limit: number,
): Promise<HistoryPage> {
  const [from, last] = [uuidAt(after + 1n), uuidAt(to)]
  // A payment has two events, and one for each change of its reference.
  const eventsMax = 3 * limit + 1_000
  // As `sql`: rows of two tables in one result. Each has nulls for the columns of the other.
  const { rows } = await sql<Row>`
    with batch as materialized (
      select id, merchant_id, reference, amount_minor, currency, status, failure_code, created_at, settled_at,
        encode(last_hash, 'hex') as last_hash,
        case when metadata is not null or idempotency_key is not null then
          encode(sha256(convert_to(jsonb_build_array(metadata, idempotency_key)::text, 'UTF8')), 'hex')
        end as details,
        case when status <> 'PENDING' or parked_at is not null then null
          when redrive_at is null or redrive_at > now() + interval '1 day' then 'redrive_at'
          when lease_until > now() + interval '1 day' then 'lease_until'
        end as stuck,
        status = 'PENDING' and claim_token is not null as is_claimed,
        case when parked_at is not null then exists (
          select from dead_letters d
          where d.resolved_at is null and d.source = 'worker' collate "C" and d.topic = any(${WORK_TOPICS}::text[] collate "C")
            and d.key = p.id::text collate "C")
        end as has_letter
      from payments p where id >= ${from} and id <= ${last} order by id limit ${limit}
    ), span as materialized (
      select coalesce((select id from batch order by id offset ${limit}::int - 1 limit 1), ${last}::uuid) as last
    )
    select 'payment' as kind, id, merchant_id, created_at, reference, amount_minor, currency, status, failure_code,
      settled_at, last_hash, details, stuck, is_claimed, has_letter,
      null::float8 as event_id, null::int as sequence, null as type, null::jsonb as data, null as actor, null as request_id,
      null as hash, null::boolean as has_trace
    from batch
    union all (
      select 'event', payment_id, merchant_id, created_at, null, null, null, null, null,
        null, null, null, null, null, null,
        id, sequence, type, data, actor, request_id, encode(hash, 'hex'), trace is not null
      from payment_events where payment_id >= ${from} and payment_id <= (select last from span)
      order by payment_id, sequence limit ${eventsMax})`.execute(db)
  return toPage(rows, { to, limit, eventsMax })
}

interface Reading {
  readonly id: string
  payment: VerifiedPayment | undefined
  events: VerifiedEvent[]
  isCut: boolean
}

function toPage(
  rows: readonly Row[],
  { to, limit, eventsMax }: { to: bigint; limit: number; eventsMax: number },
): HistoryPage {
  const byId = new Map<string, Reading>()
  const readingOf = (id: string) => {
    const known = byId.get(id)
    if (known) return known
    const made: Reading = { id, payment: undefined, events: [], isCut: false }
    byId.set(id, made)
    return made
  }
  let payments = 0
  let lastId = ''
  let lastEventOf = ''
  for (const row of rows) {
    if (row.kind === 'payment') {
      payments += 1
      readingOf(row.id).payment = row
      if (row.id > lastId) lastId = row.id
    } else {
      readingOf(row.id).events.push(row)
      if (row.id > lastEventOf) lastEventOf = row.id
    }
  }
  const histories = [...byId.values()].sort((one, other) => (one.id < other.id ? -1 : 1))
  for (const { events } of histories) events.sort((one, other) => one.sequence - other.sequence)
  if (rows.length - payments === eventsMax) return cutBefore(lastEventOf, histories)
  return { upto: payments === limit ? placeOfUuid(lastId) : to, histories }
}

/** The page without the payment whose events may not all be read. If it is the first one, the page is that one alone. */
function cutBefore(id: string, histories: Reading[]): HistoryPage {
  const whole = histories.filter((history) => history.id < id)
  if (whole.length > 0) return { upto: placeOfUuid(id) - 1n, histories: whole }
  const [first] = histories
  return { upto: placeOfUuid(id), histories: first ? [{ ...first, isCut: true }] : [] }
}
