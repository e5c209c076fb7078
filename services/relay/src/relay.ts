import { setTimeout as sleep } from 'node:timers/promises'
import { mayBeItemsOwn, type Tables } from '@cashflow/db'
import {
  backoffMs,
  createSpanSearch,
  createTopics,
  type Floors,
  LANES,
  type PassResult,
  PROMOTED_MAX,
  type Publisher,
  promoteDue,
  runPass,
} from '@cashflow/outbox'
import { type Component, createCondition, type Logger } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import { concernsMessages, tookTooLong } from './concerns-messages.ts'
import { watchFloors } from './floor-watch.ts'
import { passLimits } from './limits.ts'
import { createReport, isLeft } from './report.ts'
import { afterFailure, afterPass, FIRST_TURN, nextPass } from './turn.ts'
import { createWakeSignal, type WakeSignal } from './wake.ts'

const POLL_MS = 200
// Looking past refused messages, of which there may be a million, is at most a quarter of what a pass loop does.
const LOOK_PAST_REST = 3
/** Between two tries of scheduled messages that PostgreSQL cannot use. */
const DAMAGE_AGAIN_MS = 10_000
/** After a promotion that met some: a search among many takes a hundred statements. */
const DAMAGE_PAUSE_MS = 1_000
const STEADY_MS = 10_000
const PASS_FAILED = 'pass failed, its messages stay in the outbox'

export interface RelayOptions {
  db: Kysely<Tables>
  publisher: Publisher & { whenReady(signal: AbortSignal): Promise<void> }
  floors: Floors
  wake: WakeSignal
  logger: Logger
  /** How many passes run at once. */
  passes: number
}

/** Moves messages from the outbox to the broker for as long as it runs. */
export function createRelay({ db, publisher, floors, wake, logger, passes }: RelayOptions): Component {
  const stopping = new AbortController()
  const { signal } = stopping
  const limits = passLimits(passes)
  const topics = createTopics()
  const report = createReport(logger)
  const search = createSpanSearch({ againMs: DAMAGE_AGAIN_MS })
  const damaged = createCondition(logger, {
    level: 'error',
    message: 'PostgreSQL cannot use some scheduled messages, the others are published when they are due',
    over: 'PostgreSQL can use all scheduled messages again',
  })
  /** Ends the promotion's wait. */
  const reopened = createWakeSignal()
  let running: Promise<unknown> | undefined
  let turn = FIRST_TURN
  let promotedMax = PROMOTED_MAX

  /** @returns undefined after a failure that concerns the messages of a lane: others are next */
  async function passOnce(): Promise<(PassResult & { tookMs: number }) | undefined> {
    // Without a broker there is no pass: it would hold lanes and a transaction for nothing.
    await publisher.whenReady(signal)
    const startedAt = performance.now()
    const begun = nextPass(turn, startedAt)
    if ('retryMs' in begun) {
      await pause(begun.retryMs)
      return undefined
    }
    try {
      const own = { ...limits, messagesPerLaneMax: begun.messagesMax }
      const result = await runPass({ db, publisher, floors, topics, limits: own }, begun.start, begun.span)
      turn = afterPass(turn, begun, result)
      report(result)
      return { ...result, tookMs: performance.now() - startedAt }
    } catch (error) {
      if (!concernsMessages(error)) throw error
      turn = afterFailure(turn, begun, performance.now())
      const facts = { lane: begun.start, lanes: begun.span, messages_max: begun.messagesMax, error }
      if (begun.span > 1 || begun.messagesMax > 1) logger.warn(PASS_FAILED, facts)
      else logger.error('lane cannot be read, all others go on', facts)
      await pause(backoffMs(0))
      return undefined
    }
  }

  async function passLoop(): Promise<void> {
    let failures = 0
    while (!signal.aborted) {
      const result = await passOnce()
      if (!result) continue
      const { settlements, lanesHeld, tookMs } = result
      const isFull = lanesHeld === limits.lanesMax
      // One pass is woken for what was committed; it has another help where there may be more lanes than it could hold.
      if (isFull && settlements.length > 0) wake.wake()
      if (topics.reopened) reopened.wake()
      const isUnanswered = settlements.some(({ action }) => isLeft(action, 'unanswered'))
      failures = isUnanswered ? failures + 1 : 0
      if (isUnanswered) await pause(backoffMs(failures))
      else if (settlements.length === 0) {
        // What it holds, and did not read, are messages of refused topics.
        if (lanesHeld > 0) await pause(LOOK_PAST_REST * tookMs)
        // Of as many lanes as it saw: the round that narrow turns make takes as long as a wide one.
        const lanesSeen = isFull ? lanesHeld : turn.span
        await wake.wait({ atMostMs: (POLL_MS * lanesSeen) / LANES, signal })
      }
    }
  }

  async function promoteLoop(): Promise<void> {
    while (!signal.aborted) {
      let failure: unknown
      const onUnreadable = (error: unknown) => {
        failure = error
      }
      // Not a statement that took too long: a search would make a hundred of them.
      const isRowsOwn = (error: unknown) => !signal.aborted && mayBeItemsOwn(error)
      const past = { isRowsOwn, onUnreadable }
      const promoted = await promoteDue(db, topics, search, past, promotedMax).catch((error: unknown) => {
        // Large messages may take too long together: the next promotion moves half as many.
        if (tookTooLong(error)) promotedMax = Math.max(1, Math.floor(promotedMax / 2))
        throw error
      })
      if (promoted < promotedMax) promotedMax = PROMOTED_MAX
      if (failure !== undefined) damaged.holds({ spots: search.blindSpots, error: failure })
      else if (search.blindSpots === 0) damaged.isOver()
      if (promoted > 0) wake.wake()
      if (failure !== undefined) await pause(DAMAGE_PAUSE_MS)
      else if (promoted === 0) await reopened.wait({ atMostMs: POLL_MS, signal })
    }
  }

  /**
   * Runs a loop again whenever it throws, which is what it does while the database is away.
   *
   * @param failed what the log says then
   */
  async function persist(loop: () => Promise<void>, failed: string): Promise<void> {
    let failures = 0
    while (!signal.aborted) {
      const startedAt = performance.now()
      let isLate = false
      await loop().catch((error: unknown) => {
        if (signal.aborted) return
        // Unless it was the server that gave up, this may be another one by now, which begins its ids again.
        isLate = tookTooLong(error)
        if (!isLate) floors.forget()
        logger.warn(failed, { error })
      })
      // Who waited for a statement has waited already.
      if (isLate) failures = 0
      else failures = performance.now() - startedAt > STEADY_MS ? 1 : failures + 1
      await pause(backoffMs(failures))
    }
  }

  const pause = (ms: number) => sleep(ms, undefined, { signal }).catch(() => {}) // Only abort rejects.

  return {
    name: 'relay',
    async start() {
      running ??= Promise.all([
        ...Array.from({ length: passes }, () => persist(passLoop, PASS_FAILED)),
        persist(promoteLoop, 'scheduled messages could not be moved to the outbox, trying again'),
        watchFloors({ db, floors, logger }, signal),
      ])
    },
    async stop() {
      stopping.abort()
      await running
    },
  }
}
