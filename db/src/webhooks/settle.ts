import { compiledOnce, type ParameterOf } from '@cashflow/outbox'
import { type Kysely, sql, type Transaction } from 'kysely'
import { compilable } from '../statement.ts'
import type { Tables } from '../tables.ts'
import { SLOW_MS } from './allowance.ts'
import { DELIVERY_LOCK_MS } from './due-queues.ts'

/** An attempt that has ended. */
export interface EndedAttempt {
  readonly endpointId: string
  readonly url: string
  /** The delivery's, a bigint as text. */
  readonly id: string
  /** Of the claim. */
  readonly token: string
  readonly durationMs: number
  /** Undefined if there was no answer. */
  readonly status: number | undefined
  readonly error: string | undefined
  /** The first kilobyte of the answer. */
  readonly answer: string | undefined
  readonly verdict: Verdict
}

/** What an attempt means for its delivery and its endpoint. */
export type Verdict =
  | { readonly kind: 'succeeded' }
  /** `delayMs`: time to the next attempt. Undefined for an attempt that does not count: the schedule stays as it is. */
  | { readonly kind: 'failed'; readonly delayMs: number | undefined; readonly holdMs: number }
  /** No attempt is left. */
  | { readonly kind: 'expired'; readonly holdMs: number }

/** What became of an attempt. */
export interface SettledAttempt {
  /** False if the claim is another one by now: the delivery was left as it is. */
  readonly isHeld: boolean
  /** Failed attempts at the endpoint since its last successful one. */
  readonly failures: number
  /** Time since the first of them, in milliseconds. 0 without one. */
  readonly failingMs: number
  /** True if another delivery of the endpoint may be due now. */
  readonly isDue: boolean
}

/** Another session has locked the endpoint's queue. Nothing was stored. */
export const LOCKED = Symbol('locked')

/** After this many failed attempts without a successful one, an endpoint is failing: it gets one attempt at a time. */
export const FAILING_AFTER = 3

/**
 * Stores the outcomes of attempts, in one transaction that waits for no lock. A delivery whose claim is another one by now is
 * left as it is: its lease has ended, and another process has taken it over. Its answer still counts for its endpoint.
 *
 * Deliveries that wait for one that is finished now become due. A claim locks the endpoint's queue first, as this does, so none
 * is left waiting. An event that is held for the payment's outcome becomes due with it.
 *
 * @returns for each, in their order
 */
export async function settleDeliveries(
  db: Kysely<Tables>,
  attempts: readonly EndedAttempt[],
): Promise<(SettledAttempt | typeof LOCKED)[]> {
  const endpointIds = [...new Set(attempts.map(({ endpointId }) => endpointId))]
  return await db.transaction().execute(async (tx) => {
    const locked = await QUEUES(tx, { endpointIds })
    const ids = new Set(locked.map(({ endpoint_id }) => endpoint_id))
    const own = attempts.filter(({ endpointId }) => ids.has(endpointId))
    if (own.length === 0) return attempts.map(() => LOCKED)
    const ofEndpoint = Map.groupBy(own, ({ endpointId }) => endpointId)
    const rows = await SETTLE(tx, {
      attempts: JSON.stringify(own.map(toRow)),
      queues: JSON.stringify(Array.from(ofEndpoint, ([endpointId, ended]) => changeOf(endpointId, ended))),
    })
    const settled = new Map(rows.map(({ place, ...row }) => [own[place], row]))
    return attempts.map((attempt) => settled.get(attempt) ?? LOCKED)
  })
}

const QUEUES = compiledOnce((tx: Transaction<Tables>, parameter: ParameterOf<{ endpointIds: readonly string[] }>) =>
  tx
    .selectFrom('webhook_queues')
    .select('endpoint_id')
    // A delivery that another session has locked is not waited for as long as other locks are.
    .select(sql`set_config('lock_timeout', ${sql.lit(DELIVERY_LOCK_MS)}, true)`.as('lock_timeout'))
    .where('endpoint_id', '=', sql<string>`any(${parameter('endpointIds')}::uuid[])`) // The builder has no ANY.
    .orderBy('endpoint_id')
    .forUpdate()
    .skipLocked(),
)

function toRow({ endpointId, id, token, durationMs, status, error, answer, verdict }: EndedAttempt, place: number) {
  return {
    place,
    endpoint_id: endpointId,
    id,
    token,
    duration_ms: Math.round(durationMs),
    status,
    error,
    answer,
    outcome: verdict.kind === 'failed' ? 'pending' : verdict.kind,
    delay_ms: verdict.kind === 'failed' ? verdict.delayMs : undefined,
    counts: verdict.kind === 'expired' || (verdict.kind === 'failed' && verdict.delayMs !== undefined),
  }
}

/** What the attempts change for their endpoint, in the order in which they ended. */
function changeOf(endpointId: string, attempts: readonly EndedAttempt[]) {
  const last = attempts.findLastIndex(({ verdict }) => verdict.kind === 'succeeded')
  const since = attempts.slice(last + 1)
  // Successes do not end it: they answer attempts that began before.
  const holdMs = Math.max(0, ...attempts.map(({ verdict }) => (verdict.kind === 'succeeded' ? 0 : verdict.holdMs)))
  return {
    endpoint_id: endpointId,
    has_succeeded: last >= 0,
    failed_before: attempts.slice(0, Math.max(0, last)).some(({ verdict }) => verdict.kind !== 'succeeded'),
    failures: since.length,
    first_failed_ms: since[0] ? Math.round(since[0].durationMs) : 0,
    hold_ms: holdMs,
    is_slow: (attempts.at(-1)?.durationMs ?? 0) >= SLOW_MS,
  }
}

interface Values {
  attempts: string
  queues: string
}

/** Its first success, in a sandbox. It is owed once more from the transaction on that stores this one. */
const IS_REPEATED = sql`(d.fault = 'duplicate' and g.outcome = 'succeeded')`

// As `sql`: the builder has no intervals, and its CASE reads worse.
const SETTLE = compiledOnce((tx: Transaction<Tables>, parameter: ParameterOf<Values>) =>
  compilable<SettledAttempt & { readonly place: number }>(
    tx,
    sql`with given as materialized (
        select * from jsonb_to_recordset(${parameter('attempts')}::jsonb) as g (place int, endpoint_id uuid, id bigint, token uuid,
          duration_ms int, status int, error text, answer text, outcome text, delay_ms float8, counts boolean)),
      ended as (
        update webhook_deliveries d set
          status = case when ${IS_REPEATED} then 'pending' else g.outcome end,
          attempts = case when ${IS_REPEATED} then 0 else d.attempts + g.counts::int end,
          fault = case when ${IS_REPEATED} then null else d.fault end,
          claim_token = null,
          due_at = case when ${IS_REPEATED} then now()
            when g.delay_ms is null then greatest(d.retry_at, now())
            else now() + g.delay_ms * interval '1 ms' end,
          retry_at = case when g.delay_ms is null then d.retry_at else now() + g.delay_ms * interval '1 ms' end,
          finished_at = case when g.outcome <> 'pending' and ${IS_REPEATED} is not true then clock_timestamp() end,
          last_attempt_at = clock_timestamp() - g.duration_ms * interval '1 ms',
          last_status = g.status,
          last_error = g.error
        from given g
        where d.endpoint_id = g.endpoint_id and d.id = g.id and d.claim_token = g.token
        returning g.place, d.endpoint_id, d.id, d.payment_id, d.sequence, d.status, d.fault, d.due_at, d.last_attempt_at,
          g.duration_ms, d.last_status, d.last_error, g.answer),
      recorded as (
        insert into webhook_attempts (endpoint_id, delivery_id, at, duration_ms, status, error, answer)
        select endpoint_id, id, last_attempt_at, duration_ms, last_status, last_error, answer from ended),
      released as (
        update webhook_deliveries d set status = 'pending', due_at = now()
        from (
          select distinct next.endpoint_id, next.id
          from ended cross join lateral (
            select w.endpoint_id, w.id from webhook_deliveries w
            where w.payment_id = ended.payment_id and w.sequence > ended.sequence and w.endpoint_id = ended.endpoint_id
              and w.status = 'waiting'
            order by w.sequence limit 1) next
          where ended.status <> 'pending') next
        where d.endpoint_id = next.endpoint_id and d.id = next.id
        returning d.endpoint_id),
      unheld as (
        update webhook_deliveries d set due_at = now()
        from (
          select held.endpoint_id, held.id
          from ended cross join lateral (
            select w.endpoint_id, w.id from webhook_deliveries w
            where w.payment_id = ended.payment_id and w.sequence < ended.sequence and w.endpoint_id = ended.endpoint_id
              and w.fault = 'held' and w.status = 'pending' and w.claim_token is null and w.last_attempt_at is null
            order by w.sequence limit 1) held
          where ended.status <> 'pending' and ended.fault = 'unordered') held
        where d.endpoint_id = held.endpoint_id and d.id = held.id
        returning d.endpoint_id),
      changed as (
        update webhook_queues q set
          due_at = case
            when q.is_full or q.recovering_since is not null or (g.has_succeeded and (q.is_failing or q.failures > 0))
              or exists (select from (select * from released union all select * from unheld) r where r.endpoint_id = q.endpoint_id)
              then now()
            else least(q.due_at,
              (select min(due_at) from ended e where e.endpoint_id = q.endpoint_id and status = 'pending')) end,
          is_failing = case when g.has_succeeded then g.failures >= ${sql.lit(FAILING_AFTER)}
            else q.is_failing or q.failures + g.failures >= ${sql.lit(FAILING_AFTER)} end,
          failing_since = case when g.failures = 0 then null
            when g.has_succeeded or q.failing_since is null then clock_timestamp() - g.first_failed_ms * interval '1 ms'
            else q.failing_since end,
          failures = case when g.has_succeeded then g.failures else q.failures + g.failures end,
          held_until = case when g.hold_ms > 0 then greatest(q.held_until, now() + g.hold_ms * interval '1 ms')
            else q.held_until end,
          -- Only an endpoint that fails for good ends its recovery. A single failure in between does not.
          recovering_since = case
            when not g.has_succeeded then
              case when q.failures + g.failures < ${sql.lit(FAILING_AFTER)} then q.recovering_since end
            when q.is_failing or q.failures > 0 or g.failed_before then coalesce(q.recovering_since, clock_timestamp())
            else q.recovering_since end,
          recovered = case when g.has_succeeded and q.recovering_since is null then 0 else q.recovered end,
          is_ramped = q.is_ramped or q.failures >= ${sql.lit(FAILING_AFTER)},
          is_slow = g.is_slow,
          succeeded_at = case when g.has_succeeded then clock_timestamp() else q.succeeded_at end
        from jsonb_to_recordset(${parameter('queues')}::jsonb) as g (endpoint_id uuid, has_succeeded boolean, failed_before boolean,
          failures int, first_failed_ms int, hold_ms float8, is_slow boolean)
        where q.endpoint_id = g.endpoint_id
        returning q.endpoint_id, q.failures, q.failing_since, q.due_at)
      select given.place, ended.place is not null as "isHeld", changed.failures, changed.due_at <= now() as "isDue",
        coalesce(extract(epoch from clock_timestamp() - changed.failing_since) * 1000, 0)::float8 as "failingMs"
      from given join changed on changed.endpoint_id = given.endpoint_id
      left join ended on ended.place = given.place`,
  ),
)
