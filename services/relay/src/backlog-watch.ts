import { setTimeout as sleep } from 'node:timers/promises'
import type { Tables } from '@cashflow/db'
import { type Floors, type LaneHolder, laneHolders, lanesLockedBy, oldestMessage } from '@cashflow/outbox'
import { type Component, createCondition, type Logger } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import { concernsMessages } from './concerns-messages.ts'

const LOOK_MS = 5_000
// Looking is at most a tenth of what happens, unless it takes longer than a minute.
const LOOK_REST = 9
const LOOK_REST_MAX_MS = 60_000
/** Longer than a pass holds its lanes, and than a message waits in a system that keeps up. */
const LONG_MS = 10_000

export interface BacklogWatchOptions {
  db: Kysely<Tables>
  publisher: { readonly ready: boolean }
  floors: Floors
  logger: Logger
  /** Between two looks, in milliseconds. Default: 5,000. */
  lookMs?: number
  /** How old a message or a lock is when it is logged, in milliseconds. Default: 10,000. */
  longMs?: number
}

interface Held extends LaneHolder {
  readonly heldMs: number
}

/**
 * Looks at the outbox while the relay runs, also while its passes wait, and logs what would stop payments in silence: messages
 * that wait for long, and lanes that another session has locked for long. Each relay of several logs it.
 */
export function createBacklogWatch(options: BacklogWatchOptions): Component {
  const { db, publisher, floors, logger, lookMs = LOOK_MS, longMs = LONG_MS } = options
  const stopping = new AbortController()
  const { signal } = stopping
  let isStarted = false
  const waiting = createCondition(logger, {
    message: 'messages wait in the outbox',
    over: 'messages no longer wait in the outbox',
  })
  const locked = createCondition(logger, {
    message: 'another session has locked lanes, their messages wait',
    over: 'no other session has locked lanes any more',
  })
  const unseen = createCondition(logger, {
    message: 'could not look for messages that wait in the outbox',
    over: 'the outbox can be looked at again',
  })
  /** When each transaction was first seen, as its age is hidden from roles that may not read it. */
  let seenAt = new Map<string, number>()

  async function look(): Promise<void> {
    const unreadable: (number | undefined)[] = []
    let failure: unknown
    const fail = (error: unknown, lane?: number) => {
      failure = error
      unreadable.push(lane)
    }
    await lookAtLocks().catch(fail)
    if (signal.aborted) return
    const isRowsOwn = (error: unknown) => !signal.aborted && concernsMessages(error)
    const past = { isRowsOwn, onUnreadable: fail }
    const oldest = await oldestMessage(db, floors, past).catch((error) => void fail(error))
    if (signal.aborted) return
    if (oldest && oldest.waitsMs >= longMs) {
      const { lane, topic, place } = oldest
      waiting.holds({ lag_ms: Math.round(oldest.waitsMs), lane, topic, place, broker_ready: publisher.ready })
    } else if (failure === undefined) waiting.isOver()
    const lanes = unreadable.filter((lane) => lane !== undefined)
    if (failure !== undefined) unseen.holds({ ...(lanes.length > 0 && { lanes }), error: failure })
    else unseen.isOver()
  }

  async function lookAtLocks(): Promise<void> {
    const holders = await laneHolders(db)
    const now = performance.now()
    seenAt = new Map(holders.map(({ transaction }) => [transaction, seenAt.get(transaction) ?? now]))
    const long = holders
      .map((one): Held => ({ ...one, heldMs: Math.max(one.ageMs ?? 0, now - (seenAt.get(one.transaction) ?? now)) }))
      .filter(({ heldMs }) => heldMs >= longMs)
      .sort((one, other) => other.heldMs - one.heldMs)
    const [longest] = long
    if (!longest) return locked.isOver()
    const lanes = longest.wholeTable ? 'all' : await lanesLockedBy(db, longest.xids)
    locked.holds({
      pid: longest.pid,
      application_name: longest.applicationName,
      held_ms: Math.round(longest.heldMs),
      lanes,
      sessions: long.length,
    })
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      const startedAt = performance.now()
      await look()
      const restMs = Math.max(lookMs, Math.min(LOOK_REST_MAX_MS, LOOK_REST * (performance.now() - startedAt)))
      await sleep(restMs, undefined, { signal }).catch(() => {}) // Only abort rejects.
    }
  }

  return {
    name: 'backlog watch',
    async start() {
      if (!isStarted) void run()
      isStarted = true
    },
    // Does not wait for a look: a server that has fallen silent would keep the relay from stopping in time.
    async stop() {
      stopping.abort()
    },
  }
}
