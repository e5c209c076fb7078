import { setTimeout as sleep } from 'node:timers/promises'
import { hasOverdue, type Tables, takeOverdue } from '@cashflow/db'
import { appendMessages, outboxLagMs } from '@cashflow/outbox'
import type { Logger, Part } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import { messageAbout } from './set-aside.ts'

const BATCH_MAX = 100

export interface ReconcileOptions {
  db: Kysely<Tables>
  logger: Logger
  /** Something was appended to the outbox. */
  notify: () => void
  redriveAfterMs: number
}

export interface Reconciled {
  /** Payments that have a fresh message now. */
  redriven: number
  /** Overdue payments that somebody holds: put behind the lease. */
  leased: number
  /** Above 0: nothing was done, because messages wait this long in the outbox. */
  lagMs: number
}

/**
 * Published is not done: brokers lose queues. Sends payments that are PENDING for too long through the pipeline again,
 * at most a hundred. Processing is idempotent, so one too many does no harm.
 */
export async function reconcileOnce({ db, notify, redriveAfterMs }: ReconcileOptions): Promise<Reconciled> {
  if (!(await hasOverdue(db))) return { redriven: 0, leased: 0, lagMs: 0 }
  // Its message may still be in the outbox then, and another would wait behind it.
  const lagMs = await outboxLagMs(db)
  if (lagMs >= redriveAfterMs) return { redriven: 0, leased: 0, lagMs }
  const { overdue, leased } = await db.transaction().execute(async (tx) => {
    const taken = await takeOverdue(tx, { redriveAfterMs, batchMax: BATCH_MAX })
    await appendMessages(
      tx,
      taken.overdue.map((payment) => messageAbout({ ...payment, messageId: undefined }, 'payment.retry')),
    )
    return taken
  })
  if (overdue.length > 0) notify()
  return { redriven: overdue.length, leased, lagMs: 0 }
}

/** Reconciles every `intervalMs`, and at once while there is more to do. */
export function createReconciler(options: ReconcileOptions & { intervalMs: number }): Part {
  const { logger, intervalMs } = options
  const stopping = new AbortController()
  const { signal } = stopping
  let lagging = false
  let running: Promise<void> | undefined

  /** Whether more is waiting. */
  async function reconcile(): Promise<boolean> {
    const { redriven, leased, lagMs } = await reconcileOnce(options)
    if (lagMs > 0 && !lagging)
      logger.warn('payments are overdue because messages wait in the outbox, none is redriven', { lag_ms: lagMs })
    lagging = lagMs > 0
    if (redriven + leased > 0) logger.warn('overdue payments redriven', { redriven, leased })
    return redriven + leased === BATCH_MAX
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      const more = await reconcile().catch((error: unknown) => {
        logger.warn('could not look for overdue payments, trying again', { error })
        return false
      })
      if (!more) await sleep(intervalMs, undefined, { signal }).catch(() => {}) // Only abort rejects.
    }
  }

  return {
    name: 'reconciler',
    async start() {
      running ??= run()
    },
    async stop() {
      stopping.abort()
      await running
    },
  }
}
