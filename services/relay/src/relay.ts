import { setTimeout as sleep } from 'node:timers/promises'
import { mayBeItemsOwn, type Tables } from '@cashflow/db'
import {
  backoffMs,
  createTopics,
  type Floors,
  LANES,
  type PassResult,
  type Publisher,
  promoteDue,
  runPass,
  verifyFloors,
} from '@cashflow/outbox'
import type { Logger, Part } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import { passLimits } from './limits.ts'
import { createReport, isLeft } from './report.ts'
import { afterFailure, afterPass, FIRST_TURN, nextPass } from './turn.ts'
import { createWake, type Wake } from './wake.ts'

const POLL_MS = 200
const VERIFY_FLOORS_MS = 10_000
// Looking below the floors is at most a hundredth of what a relay does.
const VERIFY_REST = 99
// Nor is looking past refused messages, of which there may be a million, more than a quarter of what a pass loop does.
const LOOK_PAST_REST = 3
const STEADY_MS = 10_000

export interface RelayOptions {
  db: Kysely<Tables>
  publisher: Publisher & { whenReady(signal: AbortSignal): Promise<void> }
  floors: Floors
  wake: Wake
  logger: Logger
  /** How many passes run at once. */
  passes: number
}

/** Moves messages from the outbox to the broker for as long as it runs. */
export function createRelay({ db, publisher, floors, wake, logger, passes }: RelayOptions): Part {
  const stopping = new AbortController()
  const { signal } = stopping
  const limits = passLimits(passes)
  const topics = createTopics()
  const report = createReport(logger)
  /** Ends the promotion's wait. */
  const reopened = createWake()
  let running: Promise<unknown> | undefined
  let turn = FIRST_TURN

  /** @returns undefined after a failure that concerns the messages of a lane: others are next */
  async function passOnce(): Promise<(PassResult & { tookMs: number }) | undefined> {
    // Without a broker there is no pass: it would hold lanes and a transaction for nothing.
    await publisher.whenReady(signal)
    const startedAt = performance.now()
    const begun = nextPass(turn, startedAt)
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
      if (begun.span > 1 || begun.messagesMax > 1) logger.warn('pass failed, its messages stay in the outbox', facts)
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
      const promoted = await promoteDue(db, topics)
      if (promoted > 0) wake.wake()
      else await reopened.wait({ atMostMs: POLL_MS, signal })
    }
  }

  async function verifyLoop(): Promise<void> {
    let tookMs = 0
    for (;;) {
      await pause(Math.max(VERIFY_FLOORS_MS, VERIFY_REST * tookMs))
      if (signal.aborted) return
      const startedAt = performance.now()
      try {
        const wrong = await verifyFloors(db, floors, signal)
        if (wrong) logger.error('message found below its floor, floors forgotten', wrong)
      } catch (error) {
        // It says nothing about the floors. Lost sessions have them forgotten elsewhere.
        logger.warn('could not look below the floors', { error })
      }
      tookMs = performance.now() - startedAt
    }
  }

  /** Runs a loop again whenever it throws, which is what it does while the database is away. */
  async function persist(loop: () => Promise<void>): Promise<void> {
    let failures = 0
    while (!signal.aborted) {
      const startedAt = performance.now()
      let isLate = false
      await loop().catch((error: unknown) => {
        if (signal.aborted) return
        // Unless it was the server that gave up, this may be another one by now, which takes ids anew.
        isLate = tookTooLong(error)
        if (!isLate) floors.forget()
        logger.warn('pass failed, its messages stay in the outbox', { error })
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
      const loops = [...Array.from({ length: passes }, () => passLoop), promoteLoop, verifyLoop]
      running ??= Promise.all(loops.map(persist))
    },
    async stop() {
      stopping.abort()
      await running
    },
  }
}

/** 57014, query_canceled: the server ended a statement. */
function tookTooLong(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '57014'
}

/** What is stored in one lane may have caused it: a damaged or unreadable page, a limit of the server, a bug in its rendering. */
function concernsMessages(error: unknown): boolean {
  return tookTooLong(error) || mayBeItemsOwn(error)
}
