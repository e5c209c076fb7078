import { compiledOnce, type ParameterOf } from '@cashflow/outbox'
import { sql, type Transaction } from 'kysely'
import { compilable } from '../statement.ts'
import type { Tables } from '../tables.ts'
import type { QueueState } from './allowance.ts'

/** Each change of a delivery locks its queue first, so only a session of an operator keeps one locked. In milliseconds, as text. */
export const DELIVERY_LOCK_MS = '100'

// As `sql` below: the builder has no EXTRACT, and its CTEs of one table read worse.

/** Not now(), at which the transaction began: a delivery that was committed since then is due too. */
export const NOW = sql<Date>`statement_timestamp()`

interface QueuesWanted {
  deliveriesMax: number
  failingMax: number
  aside: readonly string[]
  among: readonly string[] | null
}

/**
 * Locks the queues that are due. Those of failing endpoints, of which there may be many, have an index of their own, and get
 * what the others leave. If there are two sockets, one of them is left: a new endpoint is a failing one until its first
 * success, and busy endpoints would keep it from that. A delivery that another session has locked is not waited for as long as other locks are.
 */
export const DUE_QUEUES = compiledOnce((tx: Transaction<Tables>, parameter: ParameterOf<QueuesWanted>) => {
  const isWanted = sql`endpoint_id <> all(${parameter('aside')}::uuid[])
      and (endpoint_id = any(${parameter('among')}::uuid[])) is not false`
  return compilable<QueueState>(
    tx,
    sql`with failing_due as materialized (
          select from webhook_queues where is_enabled and is_failing and due_at <= ${NOW} and ${isWanted}
            and ${parameter('failingMax')}::int > 0 and ${parameter('deliveriesMax')}::int > 1
          limit 1),
        healthy as materialized (
          select * from webhook_queues where is_enabled and not is_failing and due_at <= ${NOW} and ${isWanted}
          order by due_at limit ${parameter('deliveriesMax')}::int - (select count(*) from failing_due) for update skip locked),
        failing as materialized (
          select * from webhook_queues where is_enabled and is_failing and due_at <= ${NOW} and ${isWanted}
          order by due_at
          limit greatest(0, least(${parameter('failingMax')}::int, ${parameter('deliveriesMax')}::int - (select count(*) from healthy)))
          for update skip locked)
        select endpoint_id, is_failing, is_slow, recovered, is_ramped,
          set_config('lock_timeout', ${sql.lit(DELIVERY_LOCK_MS)}, true),
          coalesce(extract(epoch from held_until - ${NOW}) * 1000, 0)::float8 as held_ms,
          (extract(epoch from ${NOW} - recovering_since) * 1000)::float8 as recovering_ms
        from (select * from healthy union all select * from failing) q`,
  )
})
