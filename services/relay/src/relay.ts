import { setTimeout as sleep } from 'node:timers/promises'
import type { Tables } from '@cashflow/db'
import {
  type Floors,
  LANES,
  type PassResult,
  type Publisher,
  promoteDue,
  retryDelayMs,
  runPass,
  verifyFloors,
} from '@cashflow/outbox'
import type { Logger, Part } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import { passLimits } from './limits.ts'
import { afterPass, afterTimeout, FIRST_TURN } from './turn.ts'
import type { Wake } from './wake.ts'

const POLL_MS = 200
const VERIFY_FLOORS_MS = 10_000
// Looking below the floors is at most a hundredth of what a relay does.
const VERIFY_REST = 99
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
  let running: Promise<unknown> | undefined
  let turn = FIRST_TURN

  async function passOnce(): Promise<PassResult> {
    // Without a broker there is no pass: it would hold lanes and a transaction for nothing.
    await publisher.whenReady(signal)
    const begun = turn
    try {
      const result = await runPass({ db, publisher, floors, limits }, begun.start, begun.span)
      turn = afterPass(turn, result.nextLane)
      report(result, logger)
      return result
    } catch (error) {
      if (tookTooLong(error)) turn = afterTimeout(turn, begun)
      throw error
    }
  }

  async function passLoop(): Promise<void> {
    let refusals = 0
    while (!signal.aborted) {
      const { settlements, lanesHeld } = await passOnce()
      // One pass is woken for what was committed; it has another help where there may be more lanes than it could hold.
      if (lanesHeld === limits.lanesMax) wake.wake()
      const left = settlements.filter(({ action }) => action.action === 'leave').length
      refusals = left > 0 ? refusals + 1 : 0
      if (left > 0) await pause(backoffMs(refusals))
      // Of as many lanes as it saw: the round that narrow turns make takes as long as a wide one.
      else if (settlements.length === 0) await wake.wait({ atMostMs: (POLL_MS * turn.span) / LANES, signal })
    }
  }

  async function promoteLoop(): Promise<void> {
    while (!signal.aborted) {
      const promoted = await promoteDue(db)
      if (promoted > 0) wake.wake()
      else await pause(POLL_MS)
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

/** Between 50 ms and 5 s, so that relays do not come back all at once and none spins. */
function backoffMs(failures: number): number {
  return 50 + Math.min(4_950, retryDelayMs(failures))
}

/** 57014, query_canceled: the server ended a statement. */
function tookTooLong(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '57014'
}

function report({ settlements }: PassResult, logger: Logger): void {
  for (const { message, action } of settlements) {
    const fields = {
      message_id: message.messageId,
      key: message.key,
      topic: message.topic,
      request_id: message.headers['x-request-id'],
    }
    if (action.action === 'delete') logger.debug('message published', fields)
    else if (action.action === 'delay' && action.reason === 'unroutable')
      logger.warn('message unroutable, tried again later', { ...fields, delay_ms: action.delayMs })
    else if (action.action === 'bury')
      logger.error('message not publishable, now a dead letter', { ...fields, reason: action.reason })
  }
  // A broker that is full refuses many at once, and again and again.
  const reasons = settlements.map(({ action }) => ('reason' in action ? action.reason : undefined))
  const refused = reasons.filter((reason) => reason === 'refused').length
  if (refused > 0) logger.warn('messages refused, tried again later', { messages: refused })
  const unanswered = reasons.filter((reason) => reason === 'unanswered').length
  if (unanswered > 0) logger.warn('messages not confirmed, they stay in the outbox', { messages: unanswered })
}
