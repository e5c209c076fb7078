import { defined, type Loops, pause } from '@cashflow/async'
import { type Tables, withBeats } from '@cashflow/db'
import { type Floors, laneHolders, lanesLockedBy, oldestMessage } from '@cashflow/outbox'
import { backgroundComponent, type Component, createCondition, type Logger } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import { concernsLane } from './lane-errors.ts'

const LOOK_MS = 5_000
// A relay rests nine times as long as the look took, at most a minute. So looks take at most a tenth of its time, unless
// one takes longer than 7 seconds.
const LOOK_REST = 9
const LOOK_REST_MAX_MS = 60_000
/** Longer than a pass holds its lanes, and than a message waits in a system that keeps up. */
const LONG_MS = 10_000

export interface BacklogWatchOptions {
  db: Kysely<Tables>
  publisher: { readonly ready: boolean }
  floors: Floors
  /** Returns whether an operator has paused the relays. */
  isPaused: () => boolean
  logger: Logger
  /** Time between two looks, in milliseconds. Default: 5,000. */
  lookMs?: number
  /** Age at which a message or a lock is logged, in milliseconds. Default: 10,000. */
  longMs?: number
}

/**
 * Looks at the outbox while the relay runs, also while its passes wait. It logs what would stop payments in silence: old
 * messages, and lanes that another session has locked for long. Each of several relays logs it.
 */
export function createBacklogWatch(options: BacklogWatchOptions): Component {
  const { publisher, floors, isPaused, logger, lookMs = LOOK_MS, longMs = LONG_MS } = options
  const stopping = new AbortController()
  const { signal } = stopping
  const lookAtLocks = createLockLook(logger, longMs)
  const waiting = createCondition(logger, {
    message: 'messages wait in the outbox',
    ended: 'messages no longer wait in the outbox',
  })
  const held = createCondition(logger, {
    level: 'info',
    message: 'messages wait in the outbox because the relays are paused',
    ended: 'the relays publish again, no pause is in force',
  })
  const unseen = createCondition(logger, {
    message: 'could not check the outbox for waiting messages',
    ended: 'the outbox can be checked again',
  })

  async function look(db: Kysely<Tables>): Promise<void> {
    const unreadable: (number | undefined)[] = []
    let failure: unknown
    const fail = (error: unknown, lane?: number) => {
      failure = error
      unreadable.push(lane)
    }
    // During a pause no relay needs a lane.
    if (!isPaused()) await lookAtLocks(db).catch(fail)
    if (signal.aborted) return
    const isRowsOwn = (error: unknown) => !signal.aborted && concernsLane(error)
    const damage = { isRowsOwn, onUnreadable: fail }
    const oldest = await oldestMessage(db, floors, damage).catch((error) => void fail(error))
    if (signal.aborted) return
    if (oldest && oldest.waitsMs >= longMs) {
      const { lane, topic, place } = oldest
      const facts = { lag_ms: Math.round(oldest.waitsMs), lane, topic, place }
      if (isPaused()) held.holds(facts)
      else waiting.holds({ ...facts, broker_ready: publisher.ready })
    } else if (failure === undefined) waiting.ended()
    if (!isPaused()) held.ended()
    const lanes = unreadable.filter((lane) => lane !== undefined)
    if (failure !== undefined) unseen.holds({ ...(lanes.length > 0 && { lanes }), error: failure })
    else unseen.ended()
  }

  async function run(loops: Loops): Promise<void> {
    const loop = loops.begin('backlog watch')
    const db = withBeats(options.db, loop)
    while (!signal.aborted) {
      loop.beat()
      const startedAt = performance.now()
      await look(db)
      const restMs = LOOK_REST * (performance.now() - startedAt)
      await pause(Math.max(lookMs, Math.min(LOOK_REST_MAX_MS, restMs)), signal)
    }
  }

  // The stop does not wait for a look: a silent server would keep the relay from stopping in time.
  return backgroundComponent('backlog watch', run, stopping, { isAwaited: false })
}

/** Creates the look at sessions that have locked lanes. It logs the one that has held its lock longest. */
function createLockLook(logger: Logger, longMs: number): (db: Kysely<Tables>) => Promise<void> {
  const locked = createCondition(logger, {
    message: 'another session has locked lanes, their messages wait',
    ended: 'no other session has locked lanes any more',
  })
  /** When each transaction was first seen: its age is hidden from roles that may not read it. */
  let seenAt = new Map<string, number>()

  return async (db) => {
    const holders = await laneHolders(db)
    const now = performance.now()
    seenAt = new Map(holders.map(({ transaction }) => [transaction, seenAt.get(transaction) ?? now]))
    const long = holders
      .map((one) => ({
        ...one,
        heldMs: Math.max(one.ageMs ?? 0, now - defined(seenAt.get(one.transaction), 'first look at a transaction')),
      }))
      .filter(({ heldMs }) => heldMs >= longMs)
      .sort((one, other) => other.heldMs - one.heldMs)
    const [longest] = long
    if (!longest) return locked.ended()
    const lanes = longest.wholeTable ? 'all' : await lanesLockedBy(db, longest.xids)
    locked.holds({
      pid: longest.pid ?? undefined,
      application_name: longest.applicationName ?? undefined,
      held_ms: Math.round(longest.heldMs),
      lanes,
      sessions: long.length,
    })
  }
}
