import { type Expression, type Kysely, type SqlBool, sql } from 'kysely'
import { ALL_UUIDS, placeOfUuid, type Span, uuidAt } from '../postgres/pages.ts'
import { isUnreadable, type LeftOut, leftOut, readPastDamage } from '../postgres/past-damage.ts'
import type { Tables } from '../tables.ts'
import type { DisabledReason, Ordering } from '../webhooks/tables.ts'
import { CUT_MS } from './read-rows.ts'

/** Deliveries of an endpoint are counted up to this. */
export const DELIVERIES_COUNTED_MAX = 10_000

export interface EndpointSearch {
  readonly merchantId?: string | undefined
  /** Only enabled ones whose last attempts failed, or only disabled ones. */
  readonly state?: 'failing' | 'disabled' | undefined
  /** The id of the last endpoint of the page before. */
  readonly after?: string | undefined
  readonly limit: number
}

/** An endpoint as an operator sees it. */
export interface SeenEndpoint {
  readonly id: string
  readonly merchantId: string
  /** Null if the row of the merchant is missing. */
  readonly merchant: string | null
  readonly url: string
  readonly description: string | null
  /** Null for all types. */
  readonly types: readonly string[] | null
  readonly ordering: Ordering
  readonly createdAt: Date
  readonly disabledAt: Date | null
  readonly disabledReason: DisabledReason | null
  readonly missedSince: Date | null
  /** The first failed attempt after the last successful one, and the number of failed attempts since. */
  readonly failingSince: Date | null
  readonly failures: number
  /** How the last attempt of its oldest unfinished delivery failed: an HTTP status, or an error. Null if none has. */
  readonly lastFailure: string | null
  readonly succeededAt: Date | null
  readonly heldUntil: Date | null
  /** Deliveries that are neither succeeded nor expired. One more than 10,000 if there are more. */
  readonly pending: number
  /** When the first of them is due, or was. Null without one. */
  readonly oldestDueAt: Date | null
  /** The keys that its secrets are sealed with, without a former secret that signs no more. */
  readonly keyIds: readonly string[]
  /** A replay that is not finished. */
  readonly replay: { readonly id: string; readonly replayed: number; readonly reachedAt: Date } | null
}

/** Lists endpoints that are not deleted, the oldest first, without those that PostgreSQL cannot read. */
export async function searchEndpoints(
  db: Kysely<Tables>,
  { merchantId, state, after, limit }: EndpointSearch,
): Promise<{ endpoints: readonly SeenEndpoint[]; leftOut: readonly LeftOut[] }> {
  const { found } = await readPastDamage<SeenEndpoint>({
    read: (span, most) => readEndpoints(db, span, { merchantId, state, limit: most }),
    placeOf: ({ id }) => placeOfUuid(id),
    span: { ...ALL_UUIDS, ...(after !== undefined && { after: placeOfUuid(after) }) },
    ...{ limit, cutMs: CUT_MS },
  })
  return {
    endpoints: found.flatMap((part) => (isUnreadable(part) ? [] : part)),
    leftOut: found.filter(isUnreadable).map(({ at, error }) => leftOut(`endpoint ${uuidAt(at)}`, error)),
  }
}

/** Undefined if no endpoint has the id, or it was deleted. */
export async function findSeenEndpoint(db: Kysely<Tables>, id: string): Promise<SeenEndpoint | undefined> {
  const place = placeOfUuid(id)
  const [endpoint] = await readEndpoints(db, { after: place - 1n, to: place }, { limit: 1 })
  return endpoint
}

async function readEndpoints(
  db: Kysely<Tables>,
  { after, to }: Span,
  { merchantId, state, limit }: Omit<EndpointSearch, 'after'>,
): Promise<SeenEndpoint[]> {
  const rows = await db
    .selectFrom('webhook_endpoints as e')
    .innerJoin('webhook_queues as q', 'q.endpoint_id', 'e.id')
    .leftJoin('merchants as m', 'm.id', 'e.merchant_id')
    .select(['e.id', 'e.merchant_id', 'm.name as merchant', 'e.url', 'e.description', 'e.types', 'e.ordering'])
    .select(['e.created_at', 'e.disabled_at', 'e.disabled_reason', 'e.missed_at', 'e.secret_key_id'])
    .select(['q.failing_since', 'q.failures', 'q.succeeded_at', 'q.held_until'])
    .select(({ ref }) => [
      SIGNING_FORMER_KEY.as('former_key_id'),
      pendingOf(db, ref('e.id')).as('pending'),
      oldestDueOf(ref('e.id')).as('oldest_due_at'),
      lastFailureOf(ref('e.id')).as('last_failure'),
      replayOf(ref('e.id')).as('replay'),
    ])
    .where('e.deleted_at', 'is', null)
    .where('e.id', '>=', uuidAt(after + 1n))
    .where('e.id', '<=', uuidAt(to))
    .$if(merchantId !== undefined, (read) => read.where('e.merchant_id', '=', merchantId ?? ''))
    .$if(state === 'disabled', (read) => read.where('e.disabled_at', 'is not', null))
    .$if(state === 'failing', (read) =>
      read.where('e.disabled_at', 'is', null).where('q.failing_since', 'is not', null),
    )
    .orderBy('e.id')
    .limit(limit)
    .execute()
  return rows.map((row) => ({
    ...{ id: row.id, merchantId: row.merchant_id, merchant: row.merchant, url: row.url, description: row.description },
    ...{ types: row.types, ordering: row.ordering, createdAt: row.created_at },
    ...{ disabledAt: row.disabled_at, disabledReason: row.disabled_reason, missedSince: row.missed_at },
    ...{ failingSince: row.failing_since, failures: row.failures, lastFailure: row.last_failure },
    succeededAt: row.succeeded_at,
    ...{ heldUntil: row.held_until, pending: row.pending, oldestDueAt: row.oldest_due_at },
    keyIds: [...new Set([row.secret_key_id, ...(row.former_key_id === null ? [] : [row.former_key_id])])],
    replay: row.replay && { ...row.replay, reachedAt: new Date(row.replay.reachedAt) },
  }))
}

// As `sql` below: the builder has no such clock, no casts, and its unions read worse.

/** The key of the former secret while that signs. */
const SIGNING_FORMER_KEY = sql<
  string | null
>`case when e.former_secret_until > clock_timestamp() then e.former_secret_key_id end`

function pendingOf(db: Kysely<Tables>, endpointId: Expression<string>) {
  const unfinished = db
    .selectFrom('webhook_deliveries as d')
    .select('d.id')
    .where(sql<SqlBool>`d.endpoint_id = ${endpointId}`)
    .where('d.status', 'in', ['pending', 'waiting'])
    .limit(DELIVERIES_COUNTED_MAX + 1)
  return sql<number>`(select count(*)::int from ${unfinished} d)`
}

/** New deliveries and replays have an order each. */
function oldestDueOf(endpointId: Expression<string>) {
  const first = (isReplay: boolean) => sql<Date | null>`(select due_at from webhook_deliveries d
    where d.endpoint_id = ${endpointId} and d.status = 'pending' and d.is_replay = ${sql.lit(isReplay)} order by d.due_at limit 1)`
  return sql<Date | null>`least(${first(false)}, ${first(true)})`
}

/** Of the first 100, because those of a backlog have had no attempt. */
const lastFailureOf = (endpointId: Expression<string>) =>
  sql<string | null>`(
    select coalesce('HTTP ' || last_status, last_error) from (
      select * from webhook_deliveries where endpoint_id = ${endpointId} and status = 'pending' order by id limit 100) d
    where d.last_attempt_at is not null order by d.id limit 1)`

const replayOf = (endpointId: Expression<string>) =>
  sql<{ id: string; replayed: number; reachedAt: string } | null>`(
    select jsonb_build_object('id', r.id, 'replayed', r.replayed, 'reachedAt', r.reached_at)
    from webhook_replays r where r.endpoint_id = ${endpointId} and r.finished_at is null order by r.id limit 1)`
