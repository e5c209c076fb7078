import { COUNTED_MAX } from '@cashflow/outbox'
import { type Kysely, type SqlBool, sql } from 'kysely'
import type { Tables } from '../tables.ts'
import type { DisabledReason } from '../webhooks/tables.ts'

/** Endpoints whose deliveries are looked at: those that are due first. */
const HEAD_MAX = 1_000

export const ENDPOINT_STATES = ['healthy', 'new', 'failing', 'disabled'] as const
export const DISABLED_REASONS = ['failing', 'gone', 'requested'] as const satisfies DisabledReason[]

/** Facts about webhooks. */
export interface WebhookFacts {
  /**
   * Number of endpoints by state. One more than 10,000 if there are more. A new one has no attempt yet, a failing one gets
   * one attempt at a time.
   */
  readonly endpoints: Readonly<Record<(typeof ENDPOINT_STATES)[number], number>>
  /** Endpoints that were disabled in the last 24 hours, by reason. One more than 10,000 together if there are more. */
  readonly disabledLately: ReadonlyMap<DisabledReason, number>
  /**
   * Time since the oldest delivery of a healthy or new endpoint was due, in milliseconds. Without replays, and without
   * endpoints that recover from failures or have asked for a pause: those get their deliveries slowly or later. Of the 1,000
   * endpoints of each kind that are due first.
   */
  readonly overdueMs: number
  /** Age of the oldest event that is not fanned out, of 10,000 merchants, in milliseconds. */
  readonly fanOutLagMs: number
}

/** Reads the facts about webhooks. Each statement is a bounded read of an index. */
export async function readWebhooks(db: Kysely<Tables>): Promise<WebhookFacts> {
  const { all: healthy } = await countEnabled(db, false)
  const { all, failed } = await countEnabled(db, true)
  return {
    endpoints: { healthy, new: all - failed, failing: failed, disabled: await countDisabled(db) },
    disabledLately: await countDisabledLately(db),
    overdueMs: Math.max(await readOverdue(db, false), await readOverdue(db, true)),
    fanOutLagMs: await readFanOutLag(db),
  }
}

/** True if a process has to send webhooks. */
export function hasEnabledEndpoint({ endpoints: { healthy, new: fresh, failing } }: WebhookFacts): boolean {
  return healthy + fresh + failing > 0
}

// As `sql` in this file: the builder has no FILTER, no EXTRACT, no intervals and no row comparison. The booleans of partial
// indexes are literals: for a parameter the planner cannot know that the index has all the rows.
const count = sql<number>`count(*)::int`
const msSince = (column: string) =>
  sql<number>`coalesce(greatest(0, extract(epoch from clock_timestamp() - min(${sql.ref(column)})) * 1000), 0)::float8`

/** Counts the enabled endpoints that get one attempt at a time, or the others, and those of them whose last attempt failed. */
async function countEnabled(db: Kysely<Tables>, isFailing: boolean) {
  const enabled = db
    .selectFrom('webhook_queues')
    .select('failing_since')
    .where('is_enabled', '=', sql.lit(true))
    .where('is_failing', '=', sql.lit(isFailing))
    .orderBy('due_at')
    .limit(COUNTED_MAX + 1)
  return await db
    .selectFrom(enabled.as('q'))
    .select([count.as('all'), sql<number>`(count(*) filter (where failing_since is not null))::int`.as('failed')])
    .executeTakeFirstOrThrow()
}

async function countDisabled(db: Kysely<Tables>): Promise<number> {
  const disabled = db
    .selectFrom('webhook_endpoints')
    .select('disabled_at')
    .where('disabled_at', 'is not', null)
    .where('deleted_at', 'is', null)
    .orderBy('disabled_at')
    .limit(COUNTED_MAX + 1)
  const { all } = await db.selectFrom(disabled.as('e')).select(count.as('all')).executeTakeFirstOrThrow()
  return all
}

async function countDisabledLately(db: Kysely<Tables>): Promise<Map<DisabledReason, number>> {
  const lately = db
    .selectFrom('webhook_endpoints')
    .select('disabled_reason')
    .where('disabled_at', '>', sql<Date>`now() - interval '24 hours'`)
    .where('deleted_at', 'is', null)
    .orderBy('disabled_at', 'desc')
    .limit(COUNTED_MAX + 1)
  const rows = await db
    .selectFrom(lately.as('e'))
    .select(['e.disabled_reason', count.as('endpoints')])
    .groupBy('e.disabled_reason')
    .execute()
  return new Map(rows.flatMap(({ disabled_reason: reason, endpoints }) => (reason ? [[reason, endpoints]] : [])))
}

/**
 * @param isNew looks at endpoints that had no attempt yet, in place of healthy ones
 */
async function readOverdue(db: Kysely<Tables>, isNew: boolean): Promise<number> {
  const head = db
    .selectFrom('webhook_queues')
    .select(['endpoint_id', 'failing_since', 'recovering_since', 'held_until'])
    .where('is_enabled', '=', sql.lit(true))
    .where('is_failing', '=', sql.lit(isNew))
    .orderBy('due_at')
    .limit(HEAD_MAX)
  const { ms } = await db
    .selectFrom(head.as('q'))
    .innerJoinLateral(
      (eb) =>
        eb
          .selectFrom('webhook_deliveries as d')
          .select(SINCE.as('since'))
          .whereRef('d.endpoint_id', '=', 'q.endpoint_id')
          .where('d.is_replay', '=', sql.lit(false))
          .where('d.status', '=', sql.lit('pending'))
          .orderBy('d.due_at')
          .limit(1)
          .as('d'),
      (on) => on.onTrue(),
    )
    .where('q.recovering_since', 'is', null)
    .where((eb) => eb.or([eb('q.held_until', 'is', null), eb('q.held_until', '<=', sql<Date>`clock_timestamp()`)]))
    .$if(isNew, (read) => read.where('q.failing_since', 'is', null))
    .select(msSince('d.since').as('ms'))
    .executeTakeFirstOrThrow()
  return ms
}

/**
 * A delivery that is claimed again and again, and never sent, is due since it was made: a secret may not open. One that a
 * sandbox delays on purpose is not.
 */
const SINCE = sql<Date>`least(d.due_at, case when d.claim_token is not null and d.last_attempt_at is null
  and coalesce(d.fault, '') not in ('late', 'held') then d.created_at end)`

async function readFanOutLag(db: Kysely<Tables>): Promise<number> {
  const cursors = db.selectFrom('webhook_cursors').selectAll().orderBy('merchant_id').limit(COUNTED_MAX)
  const { ms } = await db
    .selectFrom(cursors.as('c'))
    .innerJoinLateral(
      (eb) =>
        eb
          .selectFrom('payment_events as e')
          .select('e.created_at')
          .whereRef('e.merchant_id', '=', 'c.merchant_id')
          .where(sql<SqlBool>`(e.xid, e.id) > (c.xid, c.id)`)
          .orderBy('e.xid')
          .orderBy('e.id')
          .limit(1)
          .as('e'),
      (on) => on.onTrue(),
    )
    // Not EXISTS, of which PostgreSQL would make a join that reads all endpoints.
    .innerJoinLateral(
      (eb) =>
        eb
          .selectFrom('webhook_endpoints as w')
          .select('w.id')
          .whereRef('w.merchant_id', '=', 'c.merchant_id')
          .where('w.deleted_at', 'is', null)
          .where('w.disabled_at', 'is', null)
          .orderBy('w.id')
          .limit(1)
          .as('w'),
      (on) => on.onTrue(),
    )
    .select(msSince('e.created_at').as('ms'))
    .executeTakeFirstOrThrow()
  return ms
}
