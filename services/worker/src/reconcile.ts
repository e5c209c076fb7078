import { type Loops, pause } from '@cashflow/async'
import { mayBeItemsOwn, type Tables, withBeats } from '@cashflow/db'
import { claimOverdue, hasOverdue } from '@cashflow/db/worker'
import { retryMessage, WORK_TOPICS } from '@cashflow/domain'
import {
  appendMessages,
  createSpanSearch,
  nowMicros,
  outboxLagMs,
  type SpanSearch,
  type SpanSearchOptions,
} from '@cashflow/outbox'
import { backgroundComponent, type Component, createCondition, type Logger, uuidv7 } from '@cashflow/runtime'
import type { Kysely } from 'kysely'

const BATCH_MAX = 100

export interface ReconcileOptions {
  db: Kysely<Tables>
  logger: Logger
  /** Called after something was appended to the outbox. */
  notify: () => void
  redriveAfterMs: number
  /** Returns how many deliveries wait in this worker for the provider to return. */
  waiting: () => number
  /** Returns whether an operator has paused the relays or the workers. */
  isPaused: () => boolean
}

export interface Reconciled {
  /** Payments that got a new message. */
  redriven: number
  /** Overdue payments with a lease. Their redrive was moved behind its end. */
  leased: number
  /** Above 0 when nothing was done: the oldest message of a payment has waited this long in the outbox. */
  lagMs: number
  /** Above 0 when nothing was done: this many deliveries wait for the provider. */
  waiting: number
  /** True when nothing was done because of a pause: overdue payments wait for its end. */
  paused: boolean
}

const NOTHING: Reconciled = { redriven: 0, leased: 0, lagMs: 0, waiting: 0, paused: false }

/**
 * Sends payments that have been PENDING for too long through the pipeline again, at most 100. A published message is no
 * proof of processing, because brokers lose queues. Processing is idempotent, so an unnecessary message does no harm.
 *
 * @param search remembers where unreadable payments are
 * @param onUnreadable called with PostgreSQL's error about a row that it cannot read
 */
export async function reconcileOnce(
  options: ReconcileOptions,
  search: SpanSearch = createSpanSearch(),
  onUnreadable: (error: unknown) => void = () => {},
): Promise<Reconciled> {
  const { db, notify, redriveAfterMs } = options
  const isOverdue = await hasOverdue(db).catch(orUnreadable(true))
  if (!isOverdue && search.blindSpots === 0) return NOTHING
  if (options.isPaused()) return { ...NOTHING, paused: true }
  // The payments of waiting deliveries are among the overdue ones, and more wait in the queue. An open breaker alone is no
  // reason to stop: if RabbitMQ lost the queue, only a redrive brings the payment that probes the provider.
  const waiting = options.waiting()
  if (waiting > 0) return { ...NOTHING, waiting }
  // The payment's message may still be in the outbox, and a second message would only wait behind it.
  const lagMs = await outboxLagMs(db, WORK_TOPICS).catch(orUnreadable(0, onUnreadable))
  if (lagMs >= redriveAfterMs) return { ...NOTHING, lagMs }
  let redriven = 0
  let leased = 0
  const take: SpanSearchOptions['take'] = (spans, batchMax, traced) =>
    db
      .transaction()
      .execute(async (tx) => {
        const taken = await claimOverdue(tx, { redriveAfterMs, batchMax, spans, traced })
        await appendMessages(
          tx,
          taken.overdue.map(({ paymentId, ...request }) =>
            retryMessage(paymentId, { messageId: uuidv7(), ...request }),
          ),
        )
        return taken
      })
      .then((taken) => {
        redriven += taken.overdue.length
        leased += taken.leased
        return taken.overdue.length + taken.leased
      })
      .catch(orUnreadable(undefined, onUnreadable))
  await search.run({ take, now: () => nowMicros(db), batchMax: BATCH_MAX })
  if (redriven > 0) notify()
  return { ...NOTHING, redriven, leased }
}

/** Returns an error handler that replaces the answer which PostgreSQL could not give because of a damaged row. */
function orUnreadable<Value>(value: Value, onUnreadable: (error: unknown) => void = () => {}) {
  return (error: unknown): Value => {
    if (!mayBeItemsOwn(error)) throw error
    onUnreadable(error)
    return value
  }
}

/** Creates the conditions that prevent redrives. Each one logs when it begins, and when it has ended. */
function createConditions(logger: Logger, everyMs: number) {
  return {
    lagging: createCondition(logger, {
      message: 'payments are overdue because messages wait in the outbox, none is redriven',
      ended: 'payments are redriven again, their messages have left the outbox',
      everyMs,
    }),
    held: createCondition(logger, {
      message: 'payments are overdue because the provider is away, none is redriven',
      ended: 'payments are redriven again, none waits for the provider here',
      everyMs,
    }),
    paused: createCondition(logger, {
      level: 'info',
      message: 'payments are overdue because of a pause, none is redriven',
      ended: 'payments are redriven again, no pause is in force',
      everyMs,
    }),
    unreadable: createCondition(logger, {
      level: 'error',
      message: 'PostgreSQL cannot use some rows, the other overdue payments are redriven',
      ended: 'PostgreSQL can use the rows of all overdue payments again',
      everyMs,
    }),
    failing: createCondition(logger, {
      message: 'could not look for overdue payments, trying again',
      ended: 'overdue payments are looked for again',
      everyMs,
    }),
  }
}

export interface Reconciler extends Component {
  /** Number of payments that got a new message so far. */
  readonly redriven: number
}

/**
 * Runs `reconcileOnce` every `intervalMs`, and again at once after a full batch.
 *
 * @param options.repeatMs time between two log lines about a lasting condition, in milliseconds. Default: 60,000.
 */
export function createReconciler(options: ReconcileOptions & { intervalMs: number; repeatMs?: number }): Reconciler {
  const { logger, intervalMs, repeatMs = 60_000 } = options
  const stopping = new AbortController()
  const { signal } = stopping
  const { lagging, held, paused, unreadable, failing } = createConditions(logger, repeatMs)
  const search = createSpanSearch()
  let redrivenTotal = 0

  /** Returns whether the batch was full, so that there may be more overdue payments. */
  async function reconcile(db: Kysely<Tables>): Promise<boolean> {
    let damage: unknown
    const result = await reconcileOnce({ ...options, db }, search, (error) => {
      damage = error
    })
    const { redriven, leased, lagMs, waiting } = result
    if (damage !== undefined) unreadable.holds({ spots: search.blindSpots, error: damage })
    else if (search.blindSpots === 0) unreadable.ended()
    if (result.paused) {
      paused.holds()
      return false
    }
    if (!options.isPaused()) paused.ended()
    if (lagMs > 0) lagging.holds({ lag_ms: lagMs })
    else lagging.ended()
    if (waiting > 0) held.holds({ waiting })
    else held.ended()
    redrivenTotal += redriven
    if (redriven + leased > 0) logger.warn('overdue payments redriven', { redriven, leased })
    failing.ended()
    return redriven + leased === BATCH_MAX
  }

  async function run(loops: Loops): Promise<void> {
    const loop = loops.begin('reconciler')
    const db = withBeats(options.db, loop)
    while (!signal.aborted) {
      loop.beat()
      const more = await reconcile(db).catch((error: unknown) => {
        failing.holds({ error })
        return false
      })
      if (!more) await loop.outwait(pause(intervalMs, signal))
    }
  }

  return {
    ...backgroundComponent('reconciler', run, stopping),
    get redriven() {
      return redrivenTotal
    },
  }
}
