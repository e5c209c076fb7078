import { type Loops, pause, type WakeSignal } from '@cashflow/async'
import { type StoredEvent, type Tables, withBeats } from '@cashflow/db'
import { type FannedOut, fanOut } from '@cashflow/db/webhooks'
import { eventId } from '@cashflow/domain'
import { backgroundComponent, type Component, createCondition, type Logger } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import { createAside, isOwn } from './aside.ts'
import { bodyOf } from './body.ts'
import { FIRST_MERCHANT, look, MERCHANTS_MAX } from './look.ts'

/** Time between two looks of an idle process. */
const LOOK_MS = 1_000
/** Events gather for this long, and again after each fan-out, which costs more than what it stores. */
const GATHER_MS = 10
const REST_MS = 90
const REST_OF_MERCHANT_MS = 0.05
const AGAIN_MS = 500
/** Of a merchant, and of all merchants of a transaction together. */
const EVENTS_MAX = { ofMerchant: 250, together: 1_000 }

export interface FanOutLoopOptions {
  db: Kysely<Tables>
  /** Ends the wait for events. */
  wake: WakeSignal
  /** Called when deliveries are due. */
  onDue: () => void
  /** Called when a merchant waits for a replay. */
  onReplay: () => void
  /** Called when a check of a receiver waits. */
  onCheck: () => void
  onFannedOut?: (result: FannedOut) => void
  /** True where a payment's `metadata.simulate` may disturb its webhooks. */
  isSandbox: boolean
  logger: Logger
}

/**
 * Makes deliveries of new events for as long as it runs. A merchant whose events cannot be read is tried alone, with one event,
 * and then set aside for 10 seconds, so that it stops no other.
 */
export function createFanOut(options: FanOutLoopOptions): Component {
  const { db: shared, wake, onDue, onReplay, onCheck, onFannedOut = () => {}, isSandbox, logger } = options
  const stopping = new AbortController()
  const { signal } = stopping
  const aside = createAside((merchantId, error) =>
    logger.error('events of a merchant cannot be fanned out, all others go on', { merchant_id: merchantId, error }),
  )
  let after = FIRST_MERCHANT
  let restMs = REST_MS
  const unread = createCondition(logger, {
    message: 'could not look for new events, trying again',
    ended: 'new events are found again',
  })
  const stopped = createCondition(logger, {
    level: 'error',
    message: 'webhooks of a merchant stop before an event in a currency that this version does not know',
    ended: 'no webhooks stop before an event in an unknown currency any more',
  })

  async function fanOutFor(db: Kysely<Tables>, merchantIds: readonly string[], eventsMax: number): Promise<FannedOut> {
    const result = await fanOut(db, { merchantIds, eventsMax, bodyOf, isSandbox })
    reportStop(result.stoppedBy)
    onFannedOut(result)
    if (result.deliveries > 0) onDue()
    return result
  }

  function reportStop([event]: readonly StoredEvent[]): void {
    if (event) stopped.holds({ event_id: eventId(event.paymentId, event.sequence), currency: event.payment?.currency })
  }

  /** One that fails alone too is tried with one event at a time, up to the one that cannot be read. */
  async function fanOutAlone(db: Kysely<Tables>, merchantId: string): Promise<void> {
    try {
      await fanOutFor(db, [merchantId], 1)
    } catch (error) {
      if (!isOwn(error)) throw error
      aside.add(merchantId, error)
    }
  }

  /** Returns true if there may be more to do at once. */
  async function turn(db: Kysely<Tables>): Promise<boolean> {
    const { merchantIds, isDue, isReplaying, isChecking, merchants } = await look(db, { aside, after })
    restMs = restAfter(merchants)
    if (isDue) onDue()
    if (isReplaying) onReplay()
    if (isChecking) onCheck()
    const last = merchantIds.at(-1)
    if (last === undefined) return false
    after = last
    try {
      const share = Math.ceil(EVENTS_MAX.together / merchantIds.length)
      const { hasMore, events } = await fanOutFor(db, merchantIds, Math.min(EVENTS_MAX.ofMerchant, share))
      return hasMore || (events > 0 && merchantIds.length === MERCHANTS_MAX)
    } catch (error) {
      if (!isOwn(error)) throw error
      for (const merchantId of merchantIds) {
        if (signal.aborted) return false
        await fanOutAlone(db, merchantId)
      }
      return true
    }
  }

  async function run(loops: Loops): Promise<void> {
    const loop = loops.begin('fan-out')
    const db = withBeats(shared, loop)
    while (!signal.aborted) {
      loop.beat()
      try {
        const hasMore = await turn(db)
        unread.ended()
        if (hasMore) continue
        await pause(restMs, signal)
        await wake.wait({ atMostMs: LOOK_MS, signal })
        await pause(GATHER_MS, signal)
      } catch (error) {
        unread.holds({ error })
        await pause(AGAIN_MS, signal)
      }
    }
  }

  return backgroundComponent('fan-out', run, stopping)
}

/**
 * Returns the pause after a look. Each payment wakes the process: where no merchant has an endpoint, it looks once a second all
 * the same. For each merchant a look takes 6 µs or more, of PostgreSQL. With thousands of them it comes less often.
 */
function restAfter(merchants: number): number {
  return merchants === 0 ? LOOK_MS : Math.min(LOOK_MS, Math.max(REST_MS, merchants * REST_OF_MERCHANT_MS))
}
