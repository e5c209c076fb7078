import { type OutboxTables, outboxBacklog } from '@cashflow/outbox'
import { type Kysely, sql, type Transaction } from 'kysely'
import { listInstances, type SeenInstance } from '../instances/instances.ts'
import { queueDepths } from '../operator/status-rows.ts'
import { isAway } from '../postgres/errors.ts'
import { recordSet } from '../statement.ts'
import type { Tables } from '../tables.ts'
import { SLOT_MS, SLOTS } from './ring.ts'
import { countedSince, tallyOf } from './tally.ts'

/** A longer time since the sample before is left out: its counts would be a spike, or a mean that hides one. */
const SPAN_MAX_MS = 60_000
/** Names the lock under which one process at a time samples. */
const SAMPLING = sql<string>`hashtextextended('cashflow_chart_slots ' || coalesce(current_schema(), ''), 0)`

export interface Sampled {
  /** False if another process has written the slot, or is about to. */
  readonly isWritten: boolean
  /** Time to the end of the present slot when the sample began, by the database's clock, in milliseconds. */
  readonly nextMs: number
  /** Why the slot has no backlog. */
  readonly unread?: unknown
}

/**
 * Writes the last slot that has ended, unless it is written. Of several processes one writes it, and the others do nothing.
 * Counts come from heartbeats, which are up to 2 seconds old.
 */
export async function sampleOnce(db: Kysely<Tables>): Promise<Sampled> {
  const { endedAt, nextMs, isWritten } = await look(db)
  if (isWritten) return { isWritten: false, nextMs }
  const read = await readBacklog(db)
  const written = await db.transaction().execute((tx) => sample(tx, endedAt, read))
  return { isWritten: written, nextMs, unread: read.unread }
}

/** Finds the last slot that has ended by the database's clock, and whether it is written. */
async function look(db: Kysely<Tables>): Promise<{ endedAt: Date; nextMs: number; isWritten: boolean }> {
  // As `sql`: the builder has no EXTRACT.
  const now = sql<number>`extract(epoch from clock_timestamp())::float8 * 1000`
  const { nowMs } = await db.selectNoFrom(now.as('nowMs')).executeTakeFirstOrThrow()
  const beganMs = Math.floor(nowMs / SLOT_MS) * SLOT_MS
  const endedAt = new Date(beganMs - SLOT_MS)
  const stored = await db.selectFrom('chart_slots').select('at').where('slot', '=', slotOf(endedAt)).executeTakeFirst()
  return { endedAt, nextMs: beganMs + SLOT_MS - nowMs, isWritten: stored?.at.getTime() === endedAt.getTime() }
}

const slotOf = (at: Date) => (at.getTime() / SLOT_MS) % SLOTS

interface ReadBacklog {
  readonly backlog: number | null
  readonly lagMs: number | null
  readonly unread?: unknown
}

/** Reads the backlog before the transaction, which a damaged page would end. The other numbers need no outbox. */
async function readBacklog(db: Kysely<OutboxTables>): Promise<ReadBacklog> {
  try {
    const topics = await outboxBacklog(db)
    return {
      backlog: topics.reduce((sum, { messages }) => sum + messages, 0),
      lagMs: Math.max(0, ...topics.map(({ oldestMs }) => oldestMs)),
    }
  } catch (error) {
    if (isAway(error)) throw error
    return { backlog: null, lagMs: null, unread: error }
  }
}

/**
 * Writes a slot and the marks, under the lock. Statements after the lock see what its last holder has committed, so nothing
 * is counted twice.
 */
async function sample(tx: Transaction<Tables>, at: Date, { backlog, lagMs }: ReadBacklog): Promise<boolean> {
  const { isOurs, now } = await tx
    .selectNoFrom(({ fn, val, lit }) => [
      // The transaction waits for no disk and no standby.
      fn<string>('set_config', [val('synchronous_commit'), val('off'), lit(true)]).as('synchronous_commit'),
      fn<boolean>('pg_try_advisory_xact_lock', [SAMPLING]).as('isOurs'),
      fn<Date>('clock_timestamp').as('now'),
    ])
    .executeTakeFirstOrThrow()
  if (!isOurs) return false
  const marks = await tx.selectFrom('chart_marks').select(['id', 'marked_at', 'counted']).orderBy('id').execute()
  const instances = await listInstances(tx)
  const isNew = await writeSlot(tx, {
    ...{ slot: slotOf(at), at, backlog, lag_ms: lagMs, queue_depth: queueDepth(instances) },
    ...countsSince(marks, instances, now),
  })
  if (isNew) await mark(tx, instances, now)
  return isNew
}

type Slot = Tables['chart_slots']

const UNCOUNTED = { span_ms: null, created: null, settled: null, settled_within: null }

function countsSince(
  marks: Parameters<typeof countedSince>[0]['marks'],
  instances: readonly SeenInstance[],
  now: Date,
) {
  const [first] = marks
  if (!first) return UNCOUNTED
  const spanMs = now.getTime() - first.marked_at.getTime() // All marks are of one sample.
  if (spanMs <= 0 || spanMs > SPAN_MAX_MS) return UNCOUNTED
  const { created, settled, within } = countedSince({ lastAt: first.marked_at, marks }, instances)
  return { span_ms: spanMs, created, settled, settled_within: [...within] }
}

/** Any other time is overwritten, also a later one: the clock may have been wrong for a while. */
async function writeSlot(tx: Transaction<Tables>, slot: Slot): Promise<boolean> {
  const written = await tx
    .insertInto('chart_slots')
    .values(slot)
    .onConflict((conflict) =>
      conflict
        .column('slot')
        .doUpdateSet((eb) => ({
          at: eb.ref('excluded.at'),
          span_ms: eb.ref('excluded.span_ms'),
          created: eb.ref('excluded.created'),
          settled: eb.ref('excluded.settled'),
          settled_within: eb.ref('excluded.settled_within'),
          backlog: eb.ref('excluded.backlog'),
          lag_ms: eb.ref('excluded.lag_ms'),
          queue_depth: eb.ref('excluded.queue_depth'),
        }))
        .whereRef('chart_slots.at', '<>', 'excluded.at'),
    )
    .returning('slot')
    .execute()
  return written.length > 0
}

const MARKED = recordSet('marked', { id: 'uuid', counted: 'jsonb' })

/** Replaces the marks. A process whose row is gone has none: if it returns, it counts from then on. */
async function mark(tx: Transaction<Tables>, instances: readonly SeenInstance[], now: Date): Promise<void> {
  const marks = MARKED.json(instances.map((instance) => ({ id: instance.id, counted: tallyOf(instance) })))
  await tx
    .insertInto('chart_marks')
    .columns(['id', 'marked_at', 'counted'])
    .expression((eb) =>
      eb
        .selectFrom(MARKED.from(sql.val(marks)))
        .select(['id', sql.val(now).as('marked_at'), sql<string>`counted`.as('counted')]),
    )
    .onConflict((conflict) =>
      conflict.column('id').doUpdateSet((eb) => ({
        marked_at: eb.ref('excluded.marked_at'),
        counted: eb.ref('excluded.counted'),
      })),
    )
    .execute()
  await tx.deleteFrom('chart_marks').where('marked_at', '<>', now).execute()
}

/** Ready messages of all queues that relays report. Null if no relay that runs does. */
function queueDepth(instances: readonly SeenInstance[]): number | null {
  const depths = Object.values(queueDepths(instances))
  return depths.length === 0 ? null : depths.reduce((sum, ready) => sum + ready, 0)
}
