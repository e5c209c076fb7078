import type { Currency, Payment, PaymentEvent, PaymentStatus } from '@cashflow/domain'
import { type Kysely, type RawBuilder, type Selectable, sql, type Transaction } from 'kysely'
import { waitForStandby } from './standby.ts'
import type { PaymentsTable, Tables } from './tables.ts'

/** A payment as it begins. */
export interface NewPayment {
  payment: Payment
  event: PaymentEvent
  requestId: string
}

export interface Inserted {
  inserted: boolean
  /** Of the payment that has the reference. */
  paymentId: string
}

/**
 * Stores new payments and their events, except those whose reference is taken.
 *
 * @param redriveAfterMs from now, when a payment that is still PENDING is sent through the pipeline again
 * @returns for each, in their order, the payment that has its reference: another's id is a duplicate, and one's own with
 * `inserted: false` is the answer to a transaction that had committed before
 */
export async function insertPayments(
  tx: Transaction<Tables>,
  payments: readonly NewPayment[],
  { redriveAfterMs }: { redriveAfterMs: number },
): Promise<Inserted[]> {
  // Sorted: two transactions that have the same references in different orders would wait for each other.
  const { rows } = await sql<{ payment_id: string }>`
    with given as materialized (
      select * from ${newRows(payments)}
    ), inserted as (
      insert into payments (id, merchant_id, reference, amount_minor, currency, status, created_at, redrive_at)
      select id, merchant_id, reference, amount_minor, currency, status, created_at, ${fromNow(redriveAfterMs)}
      from given order by merchant_id, reference
      on conflict do nothing
      returning id
    )
    insert into payment_events (payment_id, merchant_id, sequence, type, data, actor, request_id, created_at)
    select id, merchant_id, sequence, type, data, 'api', request_id, created_at from given
    where (id in (select id from inserted)) is true
    returning payment_id`.execute(tx)
  const inserted = new Set(rows.map(({ payment_id }) => payment_id))
  const others = payments.filter(({ payment }) => !inserted.has(payment.id))
  const holders = others.length > 0 ? await findHolders(tx, others) : undefined
  return payments.map(({ payment: { id } }) => ({ inserted: inserted.has(id), paymentId: holders?.get(id) ?? id }))
}

/** Who has the references of payments that were not inserted, by their ids. */
async function findHolders(tx: Transaction<Tables>, payments: readonly NewPayment[]): Promise<Map<string, string>> {
  // Whether a standby has the rows that were in the way is not known.
  await waitForStandby(tx)
  // A statement of its own, and so with a younger snapshot: those rows have committed by now, or are our own.
  const { rows } = await sql<{ id: string; holder: string }>`
    select given.id, payments.id as holder from ${newRows(payments)} join payments using (merchant_id, reference)`.execute(
    tx,
  )
  if (rows.length < payments.length) throw new Error('A payment was neither inserted nor in the way')
  return new Map(rows.map(({ id, holder }) => [id, holder]))
}

// One parameter, however many rows: Kysely and pg spend their time on each.
function newRows(payments: readonly NewPayment[]): RawBuilder<unknown> {
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

export async function findPayment(db: Kysely<Tables>, id: string): Promise<Payment | undefined> {
  const row = await db.selectFrom('payments').selectAll().where('id', '=', id).executeTakeFirst()
  return row && toPayment(row)
}

export interface ClaimOptions {
  /** Made for this claim. The same claim made again, after an answer that got lost, finds its own lease. */
  token: string
  leaseMs: number
  attemptsMax: number
  /** How long after the lease's end the payment is sent through the pipeline again if it is still PENDING. */
  redriveAfterMs: number
}

export type Claim =
  | { readonly verdict: 'claimed'; readonly payment: Payment; readonly attempts: number }
  | { readonly verdict: 'settled'; readonly status: PaymentStatus }
  /** It waits for an operator. */
  | { readonly verdict: 'parked' }
  /** Another worker is at it, or it waits for its next attempt. */
  | { readonly verdict: 'leased'; readonly leaseLeftMs: number }
  /** It may not be tried again. */
  | { readonly verdict: 'exhausted'; readonly attempts: number }
  | { readonly verdict: 'unknown' }

interface JudgedRow extends Selectable<PaymentsTable> {
  verdict: Exclude<Claim['verdict'], 'unknown'>
  attempts_now: number
  lease_left_ms: number
}

/** Takes a payment for `leaseMs` milliseconds, unless something speaks against it. A lease that ran out is an attempt. */
export async function claimPayment(db: Kysely<Tables>, id: string, options: ClaimOptions): Promise<Claim> {
  const { token, leaseMs, attemptsMax, redriveAfterMs } = options
  // The row is locked whatever its state, and judged as it was locked. A condition within the locking select would be
  // judged by the older version, and call a payment free that a peer has just leased.
  const { rows } = await sql<JudgedRow>`
    with locked as materialized (
      select * from payments where id = ${id} for update
    ), counted as (
      select *, attempts + coalesce((claim_token <> ${token} and lease_until <= now())::int, 0) as attempts_now from locked
    ), judged as (
      select *, case
        when status <> 'PENDING' then 'settled'
        when parked_at is not null then 'parked'
        when claim_token = ${token} then 'claimed'
        when lease_until > now() then 'leased'
        when attempts_now >= ${attemptsMax} then 'exhausted'
        else 'claimed'
      end as verdict from counted
    ), claimed as (
      update payments p
      set claim_token = ${token}, attempts = j.attempts_now,
        lease_until = now() + ${leaseMs} * interval '1 millisecond',
        redrive_at = now() + ${leaseMs + redriveAfterMs} * interval '1 millisecond', redrives = 0
      from judged j where p.id = j.id and j.verdict = 'claimed'
    )
    select *, extract(epoch from lease_until - now())::float8 * 1000 as lease_left_ms from judged`.execute(db)
  const row = rows[0]
  return row ? toClaim(row) : { verdict: 'unknown' }
}

function toClaim(row: JudgedRow): Claim {
  switch (row.verdict) {
    case 'claimed':
      return { verdict: 'claimed', payment: toPayment(row), attempts: row.attempts_now }
    case 'settled':
      return { verdict: 'settled', status: row.status }
    case 'parked':
      return { verdict: 'parked' }
    case 'leased':
      return { verdict: 'leased', leaseLeftMs: Math.max(0, row.lease_left_ms) }
    case 'exhausted':
      return { verdict: 'exhausted', attempts: row.attempts_now }
    default:
      return row.verdict satisfies never
  }
}

/**
 * Locks a payment that this claim holds, or has settled: a payment keeps the token that settled it. Undefined when
 * somebody else claimed it meanwhile.
 */
export async function lockClaimed(tx: Transaction<Tables>, id: string, token: string): Promise<Payment | undefined> {
  const row = await tx.selectFrom('payments').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
  return row?.claim_token === token ? toPayment(row) : undefined
}

/** Stores the end of a payment that this transaction has locked, and its event. */
export async function saveSettled(
  tx: Transaction<Tables>,
  { id, status, failureCode, settledAt }: Payment,
  event: PaymentEvent,
  by: { actor: string; requestId: string | undefined },
): Promise<void> {
  await tx
    .updateTable('payments')
    .set({
      status,
      failure_code: failureCode,
      settled_at: settledAt,
      lease_until: null,
      redrive_at: null,
    })
    .where('id', '=', id)
    .where('status', '=', 'PENDING')
    .returning('id')
    .executeTakeFirstOrThrow()
  await insertEvent(tx, event, by)
}

/** Gives a locked payment back, after an attempt without an answer if `counted`: nobody claims it before the delay ends. */
export async function savePostponed(
  tx: Transaction<Tables>,
  id: string,
  {
    delayMsAfter,
    redriveAfterMs,
    counted = true,
  }: { delayMsAfter: (attempts: number) => number; redriveAfterMs: number; counted?: boolean },
): Promise<{ attempts: number; delayMs: number }> {
  const { attempts } = await tx
    .updateTable('payments')
    .set((eb) => ({ attempts: eb('attempts', '+', counted ? 1 : 0), claim_token: null }))
    .where('id', '=', id)
    .returning('attempts')
    .executeTakeFirstOrThrow()
  const delayMs = delayMsAfter(attempts)
  await tx
    .updateTable('payments')
    .set({ lease_until: fromNow(delayMs), redrive_at: fromNow(delayMs + redriveAfterMs) })
    .where('id', '=', id)
    .execute()
  return { attempts, delayMs }
}

/**
 * Takes a payment out of the pipeline, PENDING, until an operator decides.
 *
 * @param attempts for which it is parked, a lease that ran out among them
 * @returns false when it is settled, parked or leased by now, or was requeued and has others
 */
export async function parkPayment(tx: Transaction<Tables>, id: string, attempts: number): Promise<boolean> {
  const parked = await tx
    .updateTable('payments')
    .set({ attempts, parked_at: fromNow(0), claim_token: null, lease_until: null, redrive_at: null })
    .where('id', '=', id)
    .where('status', '=', 'PENDING')
    .where('parked_at', 'is', null)
    .where((eb) => eb.or([eb('claim_token', 'is', null), eb('lease_until', '<=', sql<Date>`now()`)]))
    .where(sql<number>`attempts + (claim_token is not null)::int`, '=', attempts)
    .executeTakeFirst()
  return parked.numUpdatedRows > 0n
}

/** Appends to the payment's history. A sequence that exists already is refused by the database. */
async function insertEvent(
  tx: Transaction<Tables>,
  event: PaymentEvent,
  { actor, requestId }: { actor: string; requestId: string | undefined },
): Promise<void> {
  await tx
    .insertInto('payment_events')
    .values({
      payment_id: event.paymentId,
      merchant_id: event.merchantId,
      sequence: event.sequence,
      type: event.type,
      data: JSON.stringify(event.data),
      actor,
      request_id: requestId ?? null,
      created_at: event.at,
    })
    .execute()
}

export function toPayment(row: Selectable<PaymentsTable>): Payment {
  return {
    id: row.id,
    merchantId: row.merchant_id,
    reference: row.reference,
    amountMinor: BigInt(row.amount_minor),
    currency: row.currency as Currency,
    status: row.status,
    failureCode: row.failure_code,
    createdAt: row.created_at,
    settledAt: row.settled_at,
  }
}

/** A time by the database's clock, the only one that leases and redrives are judged by. */
function fromNow(delayMs: number) {
  return sql<Date>`clock_timestamp() + ${delayMs} * interval '1 millisecond'`
}
