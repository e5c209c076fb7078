import type { Payment, PaymentEvent, PaymentStatus } from '@cashflow/domain'
import { appending, type NewMessage } from '@cashflow/outbox'
import { type Kysely, type RawBuilder, sql } from 'kysely'
import { ALONE } from '../postgres/group-commit.ts'
import type { Tables } from '../tables.ts'
import { type Claim, type JudgedRow, toClaim } from './claim.ts'
import { findHolders, type ReferenceHolder, toReferenceHolder } from './reference-holder.ts'

const SKIP_LOCKED = sql`skip locked`

/** A payment as it begins. */
export interface PaymentInsert {
  payment: Payment
  event: PaymentEvent
  requestId: string
  messages: readonly NewMessage[]
}

/**
 * Stores new payments, their events and their messages, except those whose reference is taken. All in one statement, which
 * is one transaction: nobody who dies or stalls leaves it open, and it costs one round trip.
 *
 * @param redriveAfterMs from now, when a payment that is still PENDING is sent through the pipeline again
 * @returns for each, in their order, the payment that has its reference: another one makes it a duplicate, and itself may be
 * the answer to an attempt that had committed before. After COMMIT, outside of a transaction
 */
export async function insertPayments(
  db: Kysely<Tables>,
  payments: readonly PaymentInsert[],
  { redriveAfterMs }: { redriveAfterMs: number },
): Promise<ReferenceHolder[]> {
  // Sorted: two transactions that have the same references in different orders would wait for each other.
  const { rows } = await sql<{ id: string }>`
    with given as materialized (
      select * from ${newRows(payments)}
    ), inserted as (
      insert into payments (id, merchant_id, reference, amount_minor, currency, status, created_at, redrive_at)
      select id, merchant_id, reference, amount_minor, currency, status, created_at, ${fromNow(redriveAfterMs)}
      from given where ${isUnpruned} order by merchant_id, reference collate "C"
      on conflict do nothing
      returning id
    ), recorded as (
      insert into payment_events (payment_id, merchant_id, sequence, type, data, actor, request_id, created_at)
      select id, merchant_id, sequence, type, data, 'api', request_id, created_at from given
      where (id in (select id from inserted)) is true
    ), appended as (
      ${appending(messagesOf(payments), sql`(key in (select id::text from inserted)) is true`)}
    )
    select id from inserted`.execute(db)
  const inserted = new Set(rows.map(({ id }) => id))
  const others = payments.flatMap(({ payment }) => (inserted.has(payment.id) ? [] : [payment]))
  const holders = others.length > 0 ? await findHolders(db, others) : undefined
  return payments.map(({ payment }) => toReferenceHolder(payment, holders?.get(payment.id)))
}

// Once for each row (offset is a fence), by the primary key, however many references were pruned. An insert that began
// before a reference was is what the trigger waits_for_older_inserts waits for.
const isUnpruned = sql`not exists (
  select from pruned_references r
  where r.merchant_id = given.merchant_id and r.reference = given.reference collate "C" offset 0)`

// One parameter, however many rows: Kysely and pg spend their time on each.
function newRows(payments: readonly PaymentInsert[]): RawBuilder<unknown> {
  const rows = payments.map(({ payment, event, requestId }) => ({
    id: payment.id,
    merchant_id: payment.merchantId,
    reference: payment.reference,
    amount_minor: payment.amountMinor.toString(),
    currency: payment.currency,
    status: payment.status,
    type: event.type,
    sequence: event.sequence,
    data: event.data,
    request_id: requestId,
    created_at: payment.createdAt,
  }))
  return sql`json_to_recordset(${JSON.stringify(rows)}::json) as given
    (id uuid, merchant_id uuid, reference text, amount_minor bigint, currency text, status text, type text, sequence int,
      data jsonb, request_id text, created_at timestamptz)`
}

export interface NewClaim {
  readonly id: string
  /** Made for this claim. The same claim made again, after an answer that got lost, finds its own lease. */
  readonly token: string
}

export interface ClaimOptions {
  leaseMs: number
  attemptsMax: number
  /**
   * How long after the lease's end, at most, the payment is sent through the pipeline again if it is still PENDING. One
   * whose redrive is due between the two keeps it: the row is then updated in place, and no index learns of it.
   */
  redriveAfterMs: number
}

/**
 * Takes each payment for `leaseMs` milliseconds, unless something speaks against it. A lease that ran out is an attempt.
 *
 * @param waits whether to wait for the locks of other sessions
 * @returns what became of each claim, in their order
 */
export async function claimPayments(
  db: Kysely<Tables>,
  claims: readonly NewClaim[],
  { leaseMs, attemptsMax, redriveAfterMs }: ClaimOptions,
  waits = true,
): Promise<Claim[]> {
  // Every row is locked whatever its state, and judged as it was locked. A condition within the locking select would be
  // judged by the older version, and call a payment free that a peer has just leased. All who lock several payments do
  // so in the order of their ids, or they would deadlock: one by one, sorted, by a lateral look-up that no plan turns
  // round. Of several claims of one payment only the first can succeed, or the one that has. A late claim, run after its
  // repetition, shortens no lease.
  // The update names no ids: where they lie in the order of time, each row would be sought among all of them.
  const { rows } = await sql<JudgedRow>`
    with locked as materialized (
      select p.*, token, place from (
        select * from unnest(${claims.map(({ id }) => id)}::uuid[], ${claims.map(({ token }) => token)}::uuid[])
          with ordinality as asked (id, token, place) order by id
      ) asked cross join lateral (
        select id, merchant_id, reference, amount_minor, currency, status, failure_code, created_at, settled_at,
          attempts, claim_token, lease_until, parked_at, provider_pending_since
        from payments p where p.id = asked.id for update ${waits ? sql`` : SKIP_LOCKED}
      ) p
    ), counted as (
      select *, attempts + coalesce((claim_token <> token and lease_until <= now())::int, 0) as attempts_now,
        row_number() over (partition by id order by claim_token = token desc nulls last, place) as turn from locked
    ), judged as (
      select *, case
        when status <> 'PENDING' then 'settled'
        when parked_at is not null then 'parked'
        when claim_token = token then 'claimed'
        when lease_until > now() or turn > 1 then 'leased'
        when attempts_now >= ${attemptsMax} then 'exhausted'
        else 'claimed'
      end as verdict from counted
    ), claimed as (
      update payments p
      set claim_token = j.token, attempts = j.attempts_now,
        lease_until = greatest(p.lease_until, now() + ${leaseMs} * interval '1 millisecond'),
        redrive_at = case
          when p.redrive_at between now() + ${leaseMs} * interval '1 millisecond'
            and now() + ${leaseMs + redriveAfterMs} * interval '1 millisecond' then p.redrive_at
          else ${fromNow(leaseMs + redriveAfterMs)}
        end, redrives = 0
      from judged j where p.id = j.id and j.verdict = 'claimed'
    )
    select place, verdict, attempts_now, extract(epoch from lease_until - now())::float8 * 1000 as lease_left_ms,
      provider_pending_since is not null as pending, id, merchant_id, reference, amount_minor, currency, status,
      failure_code, created_at, settled_at
    from judged`.execute(db)
  const made = new Map(rows.map((row) => [Number(row.place), toClaim(row)]))
  return claims.map((_, index) => made.get(index + 1) ?? { verdict: waits ? 'unknown' : 'locked' })
}

/** The end of a payment, to be stored if its claim still holds it. */
export interface SettlementWrite {
  /** As it ends. */
  readonly payment: Payment
  readonly event: PaymentEvent
  /** Of the claim. */
  readonly token: string
  readonly actor: string
  readonly requestId: string | undefined
  readonly messages: readonly NewMessage[]
}

/**
 * Locks payments, and stores the ends of those that are PENDING and that their claims hold, with their events and
 * messages. One statement, as in `insertPayments`.
 *
 * @returns for each, in their order, the status that its claim has brought it to, now or in an earlier attempt: a payment
 * keeps the token that settled it. Undefined where the claim does not hold it. After COMMIT, outside of a transaction
 */
export async function settlePayments(
  db: Kysely<Tables>,
  settlings: readonly SettlementWrite[],
  waits = true,
): Promise<(PaymentStatus | typeof ALONE | undefined)[]> {
  const column = <Value>(of: (settling: SettlementWrite) => Value) => settlings.map(of)
  // Locked in the order of their ids, whatever their state, and judged as they were locked: see claimPayments.
  const { rows } = await sql<{ place: string; status: PaymentStatus; is_held: boolean | null; is_settled: boolean }>`
    with given as materialized (
      select * from unnest(
        ${column(({ payment }) => payment.id)}::uuid[],
        ${column(({ token }) => token)}::uuid[],
        ${column(({ messages }) => `{${messages.map(({ messageId }) => messageId)}}`)}::text[],
        ${column(({ payment }) => payment.status)}::text[],
        ${column(({ payment }) => payment.failureCode)}::text[],
        ${column(({ payment }) => payment.settledAt?.toISOString())}::timestamptz[],
        ${column(({ event }) => event.type)}::text[],
        ${column(({ event }) => event.sequence)}::int[],
        ${column(({ event }) => JSON.stringify(event.data))}::text[],
        ${column(({ event }) => event.at.toISOString())}::timestamptz[],
        ${column(({ actor }) => actor)}::text[],
        ${column(({ requestId }) => requestId)}::text[]
      ) with ordinality as given
        (id, token, message_ids, status, failure_code, settled_at, type, sequence, data, at, actor, request_id, place)
      order by id
    ), locked as materialized (
      select given.*, p.* from given cross join lateral (
        select merchant_id, status as status_before, claim_token from payments p where p.id = given.id
        for update ${waits ? sql`` : SKIP_LOCKED}
      ) p
    ), settled as (
      update payments p
      set status = l.status, failure_code = l.failure_code, settled_at = l.settled_at, lease_until = null, redrive_at = null
      from locked l where p.id = l.id and l.claim_token = l.token and l.status_before = 'PENDING'
      returning l.*
    ), recorded as (
      insert into payment_events (payment_id, merchant_id, sequence, type, data, actor, request_id, created_at)
      select id, merchant_id, sequence, type, data::jsonb, actor, request_id, at from settled
    ), appended as (
      ${appending(messagesOf(settlings), sql`(message_id in (select unnest(message_ids::uuid[]) from settled)) is true`)}
    )
    select place, status_before as status, claim_token = token as is_held, place in (select place from settled) as is_settled
    from locked`.execute(db)
  const found = new Map(rows.map((row) => [Number(row.place), row]))
  return settlings.map(({ payment }, index) => {
    const before = found.get(index + 1)
    if (!before && !waits) return ALONE
    if (!before?.is_held) return undefined
    if (before.status !== 'PENDING') return before.status
    return before.is_settled ? payment.status : undefined
  })
}

function messagesOf(entries: readonly { messages: readonly NewMessage[] }[]): NewMessage[] {
  return entries.flatMap(({ messages }) => messages)
}

/** A time by the database's clock, the only one that leases and redrives are judged by. */
export function fromNow(delayMs: number) {
  return sql<Date>`clock_timestamp() + ${delayMs} * interval '1 millisecond'`
}
