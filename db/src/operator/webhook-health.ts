import { type Kysely, sql } from 'kysely'
import { EPOCH, HORIZON } from '../events/feed.ts'
import type { Tables } from '../tables.ts'
import type { SealedSecret } from '../webhooks/endpoint.ts'

/** Endpoints that a finding names at most. */
const NAMED_MAX = 10

/** An endpoint that does not get its deliveries, though nothing is wrong with it. */
export interface AsleepEndpoint {
  readonly id: string
  /** When its queue is looked at again. Null for never. */
  readonly dueAt: Date | null
  /** Since when one of its deliveries is due, or when it will be. */
  readonly leastDueAt: Date | null
}

export interface FanOutLag {
  /** Age of the oldest committed event that has not become deliveries, in milliseconds. 0 without one. */
  readonly lagMs: number
  /** Merchants whose cursor is of another server, or of an earlier timeline. No process has looked since. */
  readonly foreign: number
}

// As `sql` in this file: the builder has no EXTRACT, no row comparison, no functions of the server, and its unions read worse.

/** True if a merchant has an endpoint. */
export async function hasEndpoints(db: Kysely<Tables>): Promise<boolean> {
  const row = await db.selectFrom('webhook_endpoints').select('id').where('deleted_at', 'is', null).limit(1).execute()
  return row.length > 0
}

/** Enabled endpoints that fail, and those that were disabled by no wish of their merchant or an operator. */
export async function countTroubled(db: Kysely<Tables>): Promise<{ failing: number; disabled: number }> {
  return await db
    .selectFrom('webhook_endpoints as e')
    .innerJoin('webhook_queues as q', 'q.endpoint_id', 'e.id')
    .select([
      sql<number>`(count(*) filter (where e.disabled_at is null and q.failing_since is not null))::int`.as('failing'),
      sql<number>`(count(*) filter (where e.disabled_reason in ('failing', 'gone')))::int`.as('disabled'),
    ])
    .where('e.deleted_at', 'is', null)
    .executeTakeFirstOrThrow()
}

/** The number of secrets by the key that they are sealed with, without former ones that sign no more. */
export async function countSecretsByKey(db: Kysely<Tables>): Promise<Map<string, number>> {
  const { rows } = await sql<{ key_id: string; secrets: number }>`
    select key_id, count(*)::int as secrets from (
      select secret_key_id as key_id from webhook_endpoints where deleted_at is null
      union all
      select former_secret_key_id from webhook_endpoints where deleted_at is null and former_secret_until > clock_timestamp()
    ) s group by key_id order by key_id`.execute(db)
  return new Map(rows.map(({ key_id, secrets }) => [key_id, secrets]))
}

/** Secrets that sign now, of the newest endpoints. */
export async function readSecrets(
  db: Kysely<Tables>,
  limit: number,
): Promise<readonly (SealedSecret & { readonly endpointId: string })[]> {
  const { rows } = await sql<SealedSecret & { endpointId: string }>`
    with e as materialized (select * from webhook_endpoints where deleted_at is null order by id desc limit ${limit})
    select id as "endpointId", secret as sealed, secret_key_id as "keyId" from e
    union all
    select id, former_secret, former_secret_key_id from e where former_secret_until > clock_timestamp()`.execute(db)
  return rows
}

/** Looks at the cursors of merchants with an enabled endpoint. A transaction that still runs delays no event here. */
export async function readFanOutLag(db: Kysely<Tables>): Promise<FanOutLag> {
  const { rows } = await sql<FanOutLag>`
    with server as materialized (select ${EPOCH} as epoch, ${HORIZON} as horizon)
    select coalesce(max(extract(epoch from clock_timestamp() - e.created_at) * 1000), 0)::float8 as "lagMs",
      (count(*) filter (where c.epoch <> server.epoch))::int as foreign
    from server cross join webhook_cursors c
    cross join lateral (
      select id from webhook_endpoints w where w.merchant_id = c.merchant_id and w.deleted_at is null and w.disabled_at is null
      order by w.id limit 1) w
    left join lateral (
      select created_at from payment_events e
      where e.merchant_id = c.merchant_id and (e.xid, e.id) > (c.xid, c.id) and e.xid < server.horizon
        and c.epoch = server.epoch
      order by e.xid, e.id limit 1) e on true`.execute(db)
  return rows[0] ?? { lagMs: 0, foreign: 0 }
}

/**
 * Finds enabled endpoints whose queue is looked at later than one of their deliveries is due. An attempt that runs has its
 * queue looked at when it ends, and an endpoint may be held on purpose. Also finds those that have a delivery which waits for
 * an earlier one that is finished. It looks at the oldest 100 of them of each endpoint.
 */
export async function findAsleep(db: Kysely<Tables>): Promise<readonly AsleepEndpoint[]> {
  const { rows } = await sql<AsleepEndpoint>`
    select q.endpoint_id as id, nullif(q.due_at, 'infinity') as "dueAt", due.at as "leastDueAt"
    from webhook_queues q
    cross join lateral (select least(
      (select due_at from webhook_deliveries d where d.endpoint_id = q.endpoint_id and status = 'pending' and not is_replay
        order by is_replay, due_at limit 1),
      (select due_at from webhook_deliveries d where d.endpoint_id = q.endpoint_id and status = 'pending' and is_replay
        order by is_replay, due_at limit 1)) as at) due
    where q.is_enabled and (
      (q.due_at > greatest(due.at, q.held_until, now()) + interval '5 seconds' and due.at is not null and not exists (
        select from webhook_deliveries d
        where d.endpoint_id = q.endpoint_id and d.claim_token is not null and d.due_at > now() offset 0))
      or exists (
        select from (
          select payment_id, sequence from webhook_deliveries d
          where d.endpoint_id = q.endpoint_id and status = 'waiting' order by id limit 100) w
        where not exists (
          select from webhook_deliveries p
          where p.payment_id = w.payment_id and p.sequence < w.sequence and p.endpoint_id = q.endpoint_id
            and p.status in ('pending', 'waiting') offset 0) offset 0))
    order by q.endpoint_id limit ${sql.lit(NAMED_MAX)}`.execute(db)
  return rows
}
