import { compiledOnce, type ParameterOf } from '@cashflow/outbox'
import { type Kysely, sql, type Transaction } from 'kysely'
import { compilable } from '../statement.ts'
import type { Tables } from '../tables.ts'
import { allowances } from './allowance.ts'
import { DUE_QUEUES, NOW } from './due-queues.ts'
import { type SealedSecret, secretsOf } from './endpoint.ts'
import { onItems } from './items-error.ts'

export interface ClaimOptions {
  /** Names this claim. No other one has the same. A UUID. */
  readonly token: string
  /** Maximum number of deliveries. */
  readonly deliveriesMax: number
  /** Maximum number of those to failing endpoints. */
  readonly failingMax: number
  /** Deliveries of an endpoint that may be under way at a time, of all processes together. A failing one has 1. */
  readonly window: number
  /** Time after which another process may take them over, in milliseconds. */
  readonly leaseMs: number
  /** Endpoints with an attempt of this process that has taken `SLOW_MS` already. They get as few as slow ones. */
  readonly slow?: readonly string[]
  /** Endpoints that are left out. */
  readonly aside?: readonly string[]
  /** Undefined for all others. */
  readonly among?: readonly string[]
}

/** A delivery that this process may attempt until its lease ends. */
export interface ClaimedDelivery {
  readonly endpointId: string
  /** A bigint, as text. */
  readonly id: string
  readonly token: string
  readonly paymentId: string
  readonly sequence: number
  readonly type: string
  readonly eventAt: Date
  readonly createdAt: Date
  /** Failed attempts of its schedule. */
  readonly attempts: number
  readonly isReplay: boolean
  /** True if it is tried before it is due by its schedule: a failure then does not count. */
  readonly isEarly: boolean
  readonly isFailing: boolean
  readonly url: string
  /** When it was claimed, by the clock of the database. */
  readonly claimedAt: Date
  /** The bytes to sign and send. Null if they were pruned while the event was asked for again. */
  readonly body: string | null
  /** The place of the payment's request in its trace. */
  readonly traceparent: string | null
  readonly secrets: readonly SealedSecret[]
}

export interface Claim {
  readonly deliveries: readonly ClaimedDelivery[]
  /** True if more may be due. */
  readonly isMore: boolean
}

/**
 * Claims due deliveries. Endpoints are locked one statement earlier than their deliveries are read, and other claims
 * skip them. So an endpoint never has more under way than its window, with any number of processes.
 *
 * Deliveries of a payment that wait for an earlier one are set aside: `settleDeliveries` makes them due.
 *
 * @throws ItemsError with the endpoints if their deliveries cannot be claimed together
 */
export async function claimDeliveries(db: Kysely<Tables>, options: ClaimOptions): Promise<Claim> {
  const { token, deliveriesMax, failingMax, leaseMs, aside = [], among = null } = options
  return await db.transaction().execute(async (tx) => {
    const queues = await DUE_QUEUES(tx, { deliveriesMax, failingMax, aside, among })
    if (queues.length === 0) return { deliveries: [], isMore: false }
    const given = JSON.stringify(allowances(queues, options))
    const ids = queues.map(({ endpoint_id }) => endpoint_id)
    const rows = await onItems(ids, CLAIM(tx, { given, token, leaseMs }))
    const claimed = rows.flatMap((row) => (row.id === null ? [] : [row as Claimed]))
    return { deliveries: claimed.map((row) => toDelivery(row, token)), isMore: rows[0]?.is_more === true }
  })
}

interface Claimed {
  endpoint_id: string
  id: string
  payment_id: string
  sequence: number
  type: string
  event_at: Date
  created_at: Date
  attempts: number
  is_replay: boolean
  is_early: boolean
  is_failing: boolean
  url: string
  claimed_at: Date
  body: string | null
  traceparent: string | null
  secret: Buffer
  secret_key_id: string
  former_secret: Buffer | null
  former_secret_key_id: string | null
  is_rotating: boolean
}

function toDelivery(row: Claimed, token: string): ClaimedDelivery {
  return {
    endpointId: row.endpoint_id,
    id: row.id,
    token,
    paymentId: row.payment_id,
    sequence: row.sequence,
    type: row.type,
    eventAt: row.event_at,
    createdAt: row.created_at,
    attempts: row.attempts,
    isReplay: row.is_replay,
    isEarly: row.is_early,
    isFailing: row.is_failing,
    url: row.url,
    claimedAt: row.claimed_at,
    body: row.body,
    traceparent: row.traceparent,
    secrets: secretsOf(row),
  }
}

// As `sql`: the builder has no intervals, and its unions of laterals read worse.
/**
 * - `free`: what each endpoint may get in addition to what is under way.
 * - `picked`: new deliveries that are due, then those that are tried early, then replays. The branches of UNION ALL are read
 *   in their order, and only as far as the limit. An endpoint that was away gets its deliveries in the order of their events.
 * - `blocked`: those that wait for an earlier event of their payment. One that a sandbox sends in another order waits for none.
 * - `looked`: when to look at the endpoint again. At once if there may be more, also behind replays that all wait for others.
 *   Otherwise at the next retry, or when a lease ends. `is_full`: an attempt that ends makes room for another one.
 */
const CLAIM = compiledOnce(
  (tx: Transaction<Tables>, parameter: ParameterOf<{ given: string; token: string; leaseMs: number }>) =>
    compilable<{ is_more: boolean } & (Claimed | { id: null })>(
      tx,
      sql`with given as (
          select g.*, e.ordering = 'payment' as is_ordered
          from jsonb_to_recordset(${parameter('given')}::jsonb) as g (endpoint_id uuid, size int, most int, early int,
            is_ramped boolean, is_over boolean, again_ms float8)
          join webhook_endpoints e on e.id = g.endpoint_id),
        free as materialized (
          select given.*, flying.n as flying,
            greatest(0, least(most, size - flying.n)) as n,
            greatest(0, (size + 1) / 2 - flying.replays) as replays
          from given cross join lateral (
            select count(*)::int as n, (count(*) filter (where is_replay))::int as replays
            from webhook_deliveries
            where endpoint_id = given.endpoint_id and claim_token is not null and due_at > ${NOW}) flying),
        picked as materialized (
          select free.endpoint_id, free.is_ordered, free.is_ramped, d.*
          from free cross join lateral (
            (select id, payment_id, sequence, is_replay, false as is_early, fault from webhook_deliveries
              where endpoint_id = free.endpoint_id and status = 'pending' and not is_replay and due_at <= ${NOW}
              order by is_replay, due_at, id limit case when free.is_ramped then 0 else free.n end)
            union all
            (select id, payment_id, sequence, is_replay, due_at > ${NOW}, fault from webhook_deliveries
              where endpoint_id = free.endpoint_id and status = 'pending' and not is_replay
                and case when due_at <= ${NOW} then free.is_ramped
                  else claim_token is null and early_after is distinct from attempts end
              order by id limit least(free.n, free.early))
            union all
            (select id, payment_id, sequence, is_replay, false, fault from webhook_deliveries
              where endpoint_id = free.endpoint_id and status = 'pending' and is_replay and due_at <= ${NOW}
              order by is_replay, due_at, id limit least(free.n, free.replays))
            limit free.n) d),
        judged as materialized (
          select picked.*, is_ordered and fault is distinct from 'unordered' and exists (
            select from webhook_deliveries p
            where p.payment_id = picked.payment_id and p.sequence < picked.sequence
              and p.endpoint_id = picked.endpoint_id and p.status in ('pending', 'waiting')) as is_blocked
          from picked),
        blocked as (
          update webhook_deliveries d set status = 'waiting' from judged
          where d.endpoint_id = judged.endpoint_id and d.id = judged.id and is_blocked),
        claimed as (
          update webhook_deliveries d set claim_token = ${parameter('token')}::uuid,
            due_at = clock_timestamp() + ${parameter('leaseMs')}::float8 * interval '1 ms',
            early_after = case when judged.is_early then d.attempts else d.early_after end
          from judged where d.endpoint_id = judged.endpoint_id and d.id = judged.id and not is_blocked
          returning d.endpoint_id, d.id, d.payment_id, d.sequence, d.type, d.event_at, d.created_at, d.attempts, d.is_replay, judged.is_early),
        looked as (
          update webhook_queues q set
            due_at = case
              when c.n > 0 and c.found = c.n and c.taken + c.flying < c.size then ${NOW}
              when c.n > 0 and c.found_replays = c.replays and c.taken_replays < c.replays then ${NOW}
              when c.most = 0 then ${NOW} + c.again_ms * interval '1 ms'
              else least(
                ${NOW} + c.again_ms * interval '1 ms', -- LEAST leaves nulls out.
                clock_timestamp() + case when c.taken > 0 then ${parameter('leaseMs')}::float8 * interval '1 ms' end,
                (select due_at from webhook_deliveries d where d.endpoint_id = q.endpoint_id and status = 'pending'
                  and not is_replay and due_at > ${NOW} order by is_replay, due_at limit 1),
                (select due_at from webhook_deliveries d where d.endpoint_id = q.endpoint_id and status = 'pending'
                  and is_replay and due_at > ${NOW} order by is_replay, due_at limit 1),
                'infinity') end,
            is_full = c.found >= c.n or c.has_replays,
            recovered = q.recovered + c.recovered,
            recovering_since = case when c.is_over and c.found < c.n then null else q.recovering_since end,
            is_ramped = q.is_ramped and not (c.is_over and c.found < c.n)
          from (select free.*, j.* from free cross join lateral (
            select count(*)::int as found, (count(*) filter (where not is_blocked))::int as taken,
              (count(*) filter (where is_replay))::int as found_replays,
              (count(*) filter (where is_replay and not is_blocked))::int as taken_replays,
              (count(*) filter (where not is_blocked and (is_early or is_ramped)))::int as recovered,
              coalesce(bool_or(is_replay), false) or free.replays < (size + 1) / 2 as has_replays
            from judged where endpoint_id = free.endpoint_id) j) c
          where q.endpoint_id = c.endpoint_id
          returning q.due_at <= ${NOW} as is_due)
        select coalesce((select bool_or(is_due) from looked), false) as is_more, c.*
        from (select) one left join (
          select claimed.*, q.is_failing, e.url, ${NOW} as claimed_at, p.body, p.traceparent, e.secret, e.secret_key_id, e.former_secret, e.former_secret_key_id,
            coalesce(e.former_secret_until > ${NOW}, false) as is_rotating
          from claimed
          join webhook_endpoints e on e.id = claimed.endpoint_id
          join webhook_queues q on q.endpoint_id = claimed.endpoint_id
          left join webhook_payloads p on p.payment_id = claimed.payment_id and p.sequence = claimed.sequence) c on true
        order by c.id`,
    ),
)
