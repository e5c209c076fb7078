import { Loops, pause, within } from '@cashflow/async'
import { type Component, createCondition, INSTANCE, type Logger, uuidv7 } from '@cashflow/runtime'
import { Counter, type Registry } from '@prometheus-io/client'
import type { Kysely } from 'kysely'
import type { InstanceRole, Tables } from '../tables.ts'
import { deleteInstance, pruneInstances, writeInstance } from './instances.ts'

const BEAT_MS = 2_000
const PRUNE_MS = 600_000
/** Maximum time of a stop. A row that is left is pruned after a day. */
const STOP_MS = 2_000

export interface HeartbeatOptions {
  db: Kysely<Tables>
  role: InstanceRole
  version: string
  /** The process's metrics. Its counters go into the row. */
  registry: Registry
  /** Returns what the process counts in addition to its metrics, by name. It goes into the row's counters. */
  counts?: () => Readonly<Record<string, number>>
  /** Returns the ready messages by queue, as far as the process knows them. */
  queueDepths?: () => Readonly<Record<string, number>> | undefined
  logger: Logger
  /** Time between two beats, in milliseconds. Default: 2,000. */
  beatMs?: number
  /** Time between two prunings, in milliseconds. Default: 600,000. */
  pruneMs?: number
}

/**
 * Writes the process's row of `instances` every 2 seconds, one statement at a time, and deletes it at the stop. A beat that
 * fails is logged, and stops nothing else. Stopped last before the pool, so that a process that drains still beats.
 */
export function createHeartbeat(options: HeartbeatOptions): Component {
  const { db, role, version, registry, counts, queueDepths, logger, beatMs = BEAT_MS, pruneMs = PRUNE_MS } = options
  const id = uuidv7()
  const stopping = new AbortController()
  const { signal } = stopping
  const unwritten = createCondition(logger, {
    message: 'could not write the heartbeat of this process, trying again',
    ended: 'the heartbeat of this process is written again',
  })
  const beats = new Counter({
    name: 'cashflow_heartbeats_total',
    help: 'Heartbeats that the process has written to PostgreSQL',
    registers: [registry],
  })
  let prunedAt = Number.NEGATIVE_INFINITY
  let running: Promise<void> | undefined

  async function beat(): Promise<void> {
    const counters = { ...(await countersOf(registry)), ...counts?.() }
    const row = {
      id,
      role,
      instance: INSTANCE,
      version,
      uptimeMs: performance.now(),
      counters,
      queueDepths: queueDepths?.(),
    }
    await writeInstance(db, row)
    beats.inc()
    if (performance.now() - prunedAt < pruneMs) return
    prunedAt = performance.now()
    await pruneInstances(db)
  }

  const loops = new Loops()
  async function run(): Promise<void> {
    const loop = loops.begin('heartbeat')
    while (!signal.aborted) {
      loop.beat()
      const startedAt = performance.now()
      await beat().then(
        () => unwritten.ended(),
        (error: unknown) => unwritten.holds({ error }),
      )
      await pause(Math.max(0, beatMs - (performance.now() - startedAt)), signal)
    }
  }

  return {
    name: 'heartbeat',
    loops,
    async start() {
      running ??= run()
    },
    async stop() {
      stopping.abort()
      if (!running) return
      // A beat in flight comes first: it would write the row again.
      const last = running.then(() => deleteInstance(db, id))
      await within(last, { deadlineMs: STOP_MS, what: 'deleting the heartbeat' }).catch((error: unknown) =>
        logger.warn('could not delete the heartbeat of this process, its row is left', { error }),
      )
    },
  }
}

/** The sum of each counter over all its labels. Only counters are read: to read another metric may cost or change something. */
async function countersOf(registry: Registry): Promise<Record<string, number>> {
  const counters = (registry.getMetricsAsArray() as unknown[]).filter((metric) => metric instanceof Counter)
  const read = await Promise.all(counters.map((counter) => counter.get()))
  return Object.fromEntries(read.map(({ name, values }) => [name, values.reduce((sum, { value }) => sum + value, 0)]))
}
