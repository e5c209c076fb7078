import { compiledOnce, type ParameterOf } from '@cashflow/outbox'
import { type Kysely, sql, type Transaction } from 'kysely'
import { compilable } from '../statement.ts'
import type { Tables } from '../tables.ts'

export interface PruneOptions {
  /** Time for which finished deliveries are kept, in milliseconds. */
  readonly keptMs: number
  /** Maximum number of deliveries of one step. */
  readonly limit: number
}

/**
 * Deletes deliveries that were finished long ago, or whose endpoint was deleted, with their attempts, and each payload that
 * has no delivery any more. One step. While another process prunes, nothing is deleted.
 *
 * @returns the number of deliveries. Fewer than `limit` if none is left, or another process prunes
 */
export async function pruneDeliveries(db: Kysely<Tables>, { keptMs, limit }: PruneOptions): Promise<number> {
  return await db.transaction().execute(async (tx) => {
    // In a statement before: the snapshot of the next one has to be younger than the lock. Two processes that each delete one
    // of an event's last two deliveries would both keep its payload, forever.
    const pruning = tx.selectNoFrom((eb) => eb.fn<boolean>('pg_try_advisory_xact_lock', [PRUNING]).as('is_ours'))
    if (!(await pruning.executeTakeFirstOrThrow()).is_ours) return 0
    const [row] = await PRUNE(tx, { keptMs, limit })
    return Number(row?.deliveries ?? 0)
  })
}

/** Names the lock under which one process at a time prunes. */
const PRUNING = sql<string>`hashtextextended('cashflow_webhooks ' || coalesce(current_schema(), ''), 0)`

// As `sql`: the builder has no intervals.
const PRUNE = compiledOnce((db: Transaction<Tables>, parameter: ParameterOf<{ keptMs: number; limit: number }>) =>
  compilable<{ deliveries: string }>(
    db,
    sql`with old as materialized (
        select endpoint_id, id, payment_id, sequence from webhook_deliveries
        where finished_at < now() - ${parameter('keptMs')}::float8 * interval '1 ms' and finished_at is not null
        order by finished_at limit ${parameter('limit')} for update skip locked),
      orphaned as materialized (
        select d.endpoint_id, d.id, d.payment_id, d.sequence from webhook_endpoints e
        cross join lateral (
          select * from webhook_deliveries d where d.endpoint_id = e.id order by id limit ${parameter('limit')}
          for update skip locked) d
        where e.deleted_at < now() - interval '1 minute'
        limit ${parameter('limit')}),
      doomed as materialized (select * from old union select * from orphaned),
      deliveries as (
        delete from webhook_deliveries d using doomed where d.endpoint_id = doomed.endpoint_id and d.id = doomed.id
        returning d.payment_id, d.sequence, d.endpoint_id),
      attempts as (
        delete from webhook_attempts a using doomed where a.endpoint_id = doomed.endpoint_id and a.delivery_id = doomed.id),
      payloads as (
        delete from webhook_payloads p using (select distinct payment_id, sequence from doomed) d
        where p.payment_id = d.payment_id and p.sequence = d.sequence and not exists (
          select from webhook_deliveries other
          where other.payment_id = d.payment_id and other.sequence = d.sequence
            and not exists (select from doomed x where x.endpoint_id = other.endpoint_id and x.id = other.id)))
      select count(*) as deliveries from deliveries`,
  ),
)
