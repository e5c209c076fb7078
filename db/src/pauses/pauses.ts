import { type Kysely, type Selectable, sql, type Transaction } from 'kysely'
import { servicesWithout } from '../migrate/schema.ts'
import { type ActionFacts, type Operator, recordAction } from '../operator/actions.ts'
import { type Done, orRefused, refused } from '../operator/done.ts'
import { fromNow } from '../payments/row.ts'
import type { PausesTable, Tables } from '../tables.ts'
import type { Pausable } from './pausable.ts'

/** A pause as it was stored. */
export interface Pause {
  readonly component: Pausable
  readonly reason: string
  readonly pausedBy: string
  readonly pausedAt: Date
  /** Its end, unless it is resumed earlier. Null if it has no end. */
  readonly until: Date | null
  readonly resumedAt: Date | null
  readonly resumedBy: string | null
  readonly resumeReason: string | null
}

/** The last pause of a component, at the time of the look. */
export interface LastPause extends Pause {
  readonly isInForce: boolean
  /** Time until its end, in milliseconds. Null if it has no end. */
  readonly leftMs: number | null
}

// As `sql`: the builder has no intervals and no EXTRACT. The end of a pause is decided by this clock alone.
const IS_IN_FORCE = sql<boolean>`resumed_at is null and coalesce(paused_until > clock_timestamp(), true)`
const LEFT_MS = sql<number | null>`extract(epoch from paused_until - clock_timestamp())::float8 * 1000`

const COLUMNS = [
  ...(['component', 'reason', 'paused_by', 'paused_at', 'paused_until'] as const),
  ...(['resumed_at', 'resumed_by', 'resume_reason'] as const),
] as const satisfies readonly (keyof PausesTable)[]

/** Reads the last pause of each component that was ever paused. */
export async function readPauses(db: Kysely<Tables>): Promise<LastPause[]> {
  const rows = await db
    .selectFrom('pauses')
    .select(COLUMNS)
    .select([IS_IN_FORCE.as('is_in_force'), LEFT_MS.as('left_ms')])
    .execute()
  return rows.map((row) => ({ ...toPause(row), isInForce: row.is_in_force, leftMs: row.left_ms }))
}

export interface NewPause {
  readonly component: Pausable
  readonly reason: string
  readonly by: Operator
  /** Time until its end, in milliseconds. Without it the pause lasts until `resume`. */
  readonly forMs: number | undefined
}

/** Pauses a component. A pause that is in force gets the new reason and the new end. */
export function pause(
  db: Kysely<Tables>,
  { component, reason, by, forMs }: NewPause,
): Promise<Done<{ readonly pause: Pause }>> {
  return orRefused(
    { act: 'pause', on: `the pause of ${component}` },
    db.transaction().execute(async (tx) => {
      const before = await lockPause(tx, component)
      const values = {
        reason,
        paused_by: by.actor,
        paused_at: fromNow(0),
        paused_until: forMs === undefined ? null : fromNow(forMs),
        resumed_at: null,
        resumed_by: null,
        resume_reason: null,
      }
      const row = await tx
        .insertInto('pauses')
        .values({ component, ...values })
        .onConflict((conflict) => conflict.column('component').doUpdateSet(values))
        .returning(COLUMNS)
        .executeTakeFirstOrThrow()
      await recordAction(tx, by, {
        action: 'pause',
        target: component,
        reason,
        ...(before && { before: factsOf(before) }),
        after: factsOf(row),
      })
      return { done: true, pause: toPause(row) }
    }),
  )
}

/** Ends the pause of a component. Refused if none is in force. */
export function resume(
  db: Kysely<Tables>,
  { component, reason, by }: { component: Pausable; reason: string | undefined; by: Operator },
): Promise<Done<{ readonly pause: Pause }>> {
  return orRefused(
    { act: 'resume', on: `the pause of ${component}` },
    db.transaction().execute(async (tx) => {
      const before = await lockPause(tx, component)
      if (!before) return refused(`The ${component} is not paused.`)
      const row = await tx
        .updateTable('pauses')
        .set({ resumed_at: fromNow(0), resumed_by: by.actor, resume_reason: reason ?? null })
        .where('component', '=', component)
        .returning(COLUMNS)
        .executeTakeFirstOrThrow()
      await recordAction(tx, by, {
        action: 'resume',
        target: component,
        reason,
        before: factsOf(before),
        after: { resumed_at: row.resumed_at, resumed_by: row.resumed_by },
      })
      return { done: true, pause: toPause(row) }
    }),
  )
}

/** Returns the pause of a component that is in force. Locks the table for other operators, as there may be no row yet. */
async function lockPause(tx: Transaction<Tables>, component: Pausable): Promise<Selectable<PausesTable> | undefined> {
  await sql`lock table pauses in share row exclusive mode`.execute(tx) // The builder has no LOCK.
  return await tx
    .selectFrom('pauses')
    .select(COLUMNS)
    .where('component', '=', component)
    .where(IS_IN_FORCE)
    .executeTakeFirst()
}

function factsOf({ reason, paused_by, paused_at, paused_until }: Selectable<PausesTable>): ActionFacts {
  return { reason, paused_by, paused_at, paused_until }
}

function toPause(row: Selectable<PausesTable>): Pause {
  return {
    component: row.component,
    reason: row.reason,
    pausedBy: row.paused_by,
    pausedAt: row.paused_at,
    until: row.paused_until,
    resumedAt: row.resumed_at,
    resumedBy: row.resumed_by,
    resumeReason: row.resume_reason,
  }
}

/** Returns the sessions of connected services that are too old to know pauses of a component. They go on during one. */
export async function ignoringPauses(db: Kysely<Tables>, component: Pausable): Promise<string[]> {
  const services = await servicesWithout(db, '0019')
  return services.filter((name) => name.startsWith(`cashflow-${component}`))
}
