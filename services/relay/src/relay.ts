import { createWakeSignal, type Loop, type Loops, pause } from '@cashflow/async'
import { mayBeItemsOwn, withBeats } from '@cashflow/db'
import {
  createSpanSearch,
  createTopics,
  PROMOTED_MAX,
  promoteDue,
  relayBackoffMs,
  verifyFloors,
} from '@cashflow/outbox'
import { backgroundComponent, type Component, createCondition } from '@cashflow/runtime'
import { concernsLane, tookTooLong } from './lane-errors.ts'
import { passLimits } from './limits.ts'
import { createPassLoop, type LoopOptions, PASS_FAILED, type PassLoopOptions } from './passes.ts'

/** Time between two promotions that find nothing. */
const POLL_MS = 200
/** Time between two tries of scheduled messages that PostgreSQL cannot use. */
const DAMAGE_AGAIN_MS = 10_000
/** Pause after a promotion that met such messages: a search among many takes a hundred statements. */
const DAMAGE_PAUSE_MS = 1_000
/** A loop that ran this long before it failed is restarted with the first delay. */
const STEADY_MS = 10_000
const VERIFY_MS = 10_000
// A relay spends at most a hundredth of its time on checking its floors.
const VERIFY_REST = 99

export interface RelayOptions
  extends Pick<PassLoopOptions, 'db' | 'publisher' | 'isPaused' | 'floors' | 'wake' | 'onConfirmed' | 'logger'> {
  /** Number of passes that run at once. */
  passes: number
}

/** Moves messages from the outbox to the broker for as long as it runs. During a pause it only moves scheduled ones to their lanes. */
export function createRelay({ publisher, isPaused, passes, onConfirmed, ...given }: RelayOptions): Component {
  const stopping = new AbortController()
  const { signal } = stopping
  const topics = createTopics()
  const reopened = createWakeSignal()
  const shared = { ...given, topics, reopened, signal }
  const passLoop = createPassLoop({ ...shared, publisher, isPaused, onConfirmed, limits: passLimits(passes) })
  const promotionLoop = createPromotionLoop(shared)
  const run = (loops: Loops) => {
    const restart = (name: string, run: (loop: Loop) => Promise<void>, failed: string) =>
      restartOnError(run, loops.begin(name), failed, shared)
    return Promise.all([
      ...Array.from({ length: passes }, () => restart('pass', passLoop, PASS_FAILED)),
      restart('promotion', promotionLoop, 'scheduled messages could not be moved to the outbox, trying again'),
      watchFloors(shared, loops.begin('check of floors')),
    ])
  }
  return backgroundComponent('relay', run, stopping)
}

/**
 * Runs a loop again each time it throws, as it does while the database is away.
 *
 * @param failed the log message of a failure
 */
async function restartOnError(
  run: (loop: Loop) => Promise<void>,
  loop: Loop,
  failed: string,
  { floors, logger, signal }: Pick<LoopOptions, 'floors' | 'logger' | 'signal'>,
): Promise<void> {
  let failures = 0
  while (!signal.aborted) {
    const startedAt = performance.now()
    let isLate = false
    loop.beat()
    await run(loop).catch((error: unknown) => {
      if (signal.aborted) return
      // Unless the server itself ended the statement, the next session may reach another server, with ids that begin again.
      isLate = tookTooLong(error)
      if (!isLate) floors.forget()
      logger.warn(failed, { error })
    })
    // A loop whose statement took too long has waited already.
    if (isLate) failures = 0
    else failures = performance.now() - startedAt > STEADY_MS ? 1 : failures + 1
    await pause(relayBackoffMs(failures), signal)
  }
}

/** Creates the loop that moves scheduled messages into their lanes when they are due. */
function createPromotionLoop({ db: shared, topics, wake, reopened, logger, signal }: LoopOptions) {
  const search = createSpanSearch({ againMs: DAMAGE_AGAIN_MS })
  const damaged = createCondition(logger, {
    level: 'error',
    message: 'PostgreSQL cannot use some scheduled messages, the others are published when they are due',
    ended: 'PostgreSQL can use all scheduled messages again',
  })
  let promotedMax = PROMOTED_MAX

  async function promoteOnce(db: LoopOptions['db']): Promise<{ promoted: number; isDamaged: boolean }> {
    let failure: unknown
    const onUnreadable = (error: unknown) => {
      failure = error
    }
    // A statement that took too long is no damage here: a search would make a hundred of them.
    const isRowsOwn = (error: unknown) => !signal.aborted && mayBeItemsOwn(error)
    const damage = { isRowsOwn, onUnreadable }
    const promoted = await promoteDue(db, topics, search, damage, promotedMax).catch((error: unknown) => {
      // Large messages may take too long together: the next promotion moves half as many.
      if (tookTooLong(error)) promotedMax = Math.max(1, Math.floor(promotedMax / 2))
      throw error
    })
    if (promoted < promotedMax) promotedMax = PROMOTED_MAX
    if (failure !== undefined) damaged.holds({ spots: search.blindSpots, error: failure })
    else if (search.blindSpots === 0) damaged.ended()
    return { promoted, isDamaged: failure !== undefined }
  }

  return async (loop: Loop): Promise<void> => {
    const db = withBeats(shared, loop)
    while (!signal.aborted) {
      loop.beat()
      const { promoted, isDamaged } = await promoteOnce(db)
      if (promoted > 0) wake.wake()
      if (isDamaged) await pause(DAMAGE_PAUSE_MS, signal)
      else if (promoted === 0) await reopened.wait({ atMostMs: POLL_MS, signal })
    }
  }
}

/**
 * Checks for messages below the floors until the signal aborts. A check that fails shows nothing about them: when a
 * session is lost, the loops and the listener reset the floors.
 */
async function watchFloors({ db, floors, logger, signal }: LoopOptions, loop: Loop): Promise<void> {
  const unseen = createCondition(logger, {
    message: 'could not check for messages below the floors',
    ended: 'messages below the floors can be checked for again',
  })
  let tookMs = 0
  for (;;) {
    await loop.outwait(pause(Math.max(VERIFY_MS, VERIFY_REST * tookMs), signal))
    if (signal.aborted) return
    const startedAt = performance.now()
    const lanes: number[] = []
    let failure: unknown
    const onUnreadable = (error: unknown, lane?: number) => {
      failure = error
      if (lane !== undefined) lanes.push(lane)
    }
    const damage = { isRowsOwn: concernsLane, onUnreadable }
    const wrong = await verifyFloors(withBeats(db, loop), floors, signal, damage).catch(
      (error) => void onUnreadable(error),
    )
    if (wrong)
      logger.error('message found below the floor of its lane, all lanes are read from their start again', wrong)
    if (failure !== undefined) unseen.holds({ ...(lanes.length > 0 && { lanes }), error: failure })
    else unseen.ended()
    tookMs = performance.now() - startedAt
  }
}
