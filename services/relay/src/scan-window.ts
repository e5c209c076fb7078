import { LANES, type PassResult } from '@cashflow/outbox'
import { MESSAGES_PER_LANE_MAX } from './limits.ts'

const RETRY_FIRST_MS = 1_000
const RETRY_MAX_MS = 60_000

/** The lanes that the next pass looks at, and the lanes that have to be read alone. */
export interface ScanWindow {
  readonly startLane: number
  readonly laneCount: number
  readonly slowLanes: ReadonlyMap<number, SlowLane>
}

/** A lane whose messages took too long, or could not be read, in a pass that looked at no other lane. */
interface SlowLane {
  readonly messagesMax: number
  /** Number of times in a row that not even one message could be read. */
  readonly failures: number
  /** When it is tried again, by the clock of `nextPass`. */
  readonly retryAt: number
}

/** The lanes and messages that one pass may read. */
export interface PassWindow {
  readonly startLane: number
  readonly laneCount: number
  /** Messages that it reads of each lane. */
  readonly messagesMax: number
}

/** No pass is possible: all lanes wait for their retry, the first of them for `retryMs` milliseconds. */
export interface NoPass {
  readonly retryMs: number
}

export const FIRST_WINDOW: ScanWindow = { startLane: 0, laneCount: LANES, slowLanes: new Map() }

/** A slow lane is read alone, so that it delays no other lane. A lane that waits for its retry is skipped. */
export function nextPass({ startLane, laneCount, slowLanes }: ScanWindow, now: number): PassWindow | NoPass {
  for (let skipped = 0; skipped < LANES; skipped += 1) {
    const lane = (startLane + skipped) % LANES
    const slow = slowLanes.get(lane)
    if (slow && now < slow.retryAt) continue
    if (slow) return { startLane: lane, laneCount: 1, messagesMax: slow.messagesMax }
    let count = 1
    while (count < laneCount && !slowLanes.has((lane + count) % LANES)) count += 1
    return { startLane: lane, laneCount: count, messagesMax: MESSAGES_PER_LANE_MAX }
  }
  return { retryMs: Math.min(...[...slowLanes.values()].map(({ retryAt }) => retryAt)) - now }
}

/**
 * The window after a pass that succeeded: one lane wider, and a slow lane is read in larger steps.
 *
 * @param window the latest one; other passes may have changed it since this pass began
 * @param begun what the pass began with
 */
export function afterPass(
  window: ScanWindow,
  begun: PassWindow,
  end: Pick<PassResult, 'dispositions' | 'lanesHeld' | 'cutBySize' | 'nextLane'>,
): ScanWindow {
  const slowLanes = new Map(window.slowLanes)
  if (begun.laneCount === 1 && end.lanesHeld === 1 && slowLanes.has(begun.startLane)) {
    // PostgreSQL reads and renders messages beyond the size limit for nothing.
    const messagesMax = end.cutBySize ? Math.max(1, end.dispositions.length) : 2 * begun.messagesMax
    if (messagesMax < MESSAGES_PER_LANE_MAX) slowLanes.set(begun.startLane, { messagesMax, failures: 0, retryAt: 0 })
    else slowLanes.delete(begun.startLane)
  }
  return { startLane: end.nextLane, laneCount: Math.min(LANES, window.laneCount + 1), slowLanes }
}

/**
 * The window after a pass in which a statement took too long or met a damaged page. Without a floor, a lane can hold more
 * dead tuples than one statement has the time to read.
 *
 * 1. The next pass starts at the same lane with half as many lanes, until each lane is in a pass that has the time.
 * 2. A lane that fails alone is read in smaller steps, down to one message.
 * 3. When that fails too, the lane is tried again after a wait, and all other lanes go on.
 */
export function afterFailure(window: ScanWindow, begun: PassWindow, now: number): ScanWindow {
  const { startLane, laneCount, messagesMax } = begun
  if (laneCount > 1) return { ...window, startLane, laneCount: Math.min(window.laneCount, Math.floor(laneCount / 2)) }
  const slowLanes = new Map(window.slowLanes)
  const failures = messagesMax === 1 ? (slowLanes.get(startLane)?.failures ?? 0) + 1 : 0
  slowLanes.set(startLane, {
    messagesMax: Math.max(1, Math.floor(messagesMax / 2)),
    failures,
    retryAt: failures === 0 ? now : now + Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** (failures - 1)),
  })
  return { startLane: (startLane + 1) % LANES, laneCount: 1, slowLanes }
}
