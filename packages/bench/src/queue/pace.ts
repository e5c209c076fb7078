import { setTimeout as sleep } from 'node:timers/promises'
import { type Pace, startMeter } from '../resources.ts'
import type { Queue, QueueState } from './queue.ts'

// Each look costs CPU time of the broker and of this process, which the measured processes then lack.
const LOOK_MS = 25
// A million messages take minutes to commit.
const COME_MS = 300_000
const STALLED_MS = 60_000

interface Bounds {
  /** The depth at which the measurement begins. */
  readonly from: number
  /** Maximum duration of the measurement, in milliseconds. Default: unlimited. */
  readonly limitMs?: number | undefined
  /** The queue before anything changed it. Default: the first look, which has to come before that. */
  readonly before?: QueueState | undefined
  readonly signal: AbortSignal
}

export interface Rise extends Bounds {
  /** The depth at which the measurement ends. */
  readonly to: number
}

export interface Fall extends Bounds {
  /** Returns whether every message that was taken from the queue is processed. */
  readonly isDone: (state: QueueState) => Promise<boolean>
}

/**
 * Measures the pace at which messages arrive in a queue without consumers, from one depth to another.
 *
 * @throws Error when no message arrives for too long, or when more messages arrive than expected
 */
export function measureRise(queue: Queue, { from, to, ...limits }: Rise): Promise<Pace> {
  return measure(queue, limits, {
    hasBegun: ({ depth }) => depth > from,
    async hasEnded({ depth }) {
      if (depth > to) throw new Error(`${depth - to} messages were published more than once`)
      return depth === to
    },
  })
}

/** Measures the pace at which messages are taken from a queue and processed, while no new message arrives. */
export function measureFall(queue: Queue, { from, isDone, ...limits }: Fall): Promise<Pace> {
  return measure(queue, limits, {
    hasBegun: ({ depth }) => depth < from,
    // The last messages may be taken and not yet processed.
    hasEnded: async (state) => state.depth === 0 && (await isDone(state)),
  })
}

async function measure(
  queue: Queue,
  { limitMs = Number.POSITIVE_INFINITY, before: given, signal }: Omit<Bounds, 'from'>,
  { hasBegun, hasEnded }: { hasBegun(state: QueueState): boolean; hasEnded(state: QueueState): Promise<boolean> },
): Promise<Pace> {
  const startAt = ({ depth }: QueueState) => ({ depth, at: performance.now(), stop: startMeter() })
  const before = startAt(given ?? (await queue.state()))
  let first: typeof before | undefined
  let moved: Omit<typeof before, 'stop'> = before
  for (;;) {
    signal.throwIfAborted()
    const state = await queue.state()
    const { depth } = state
    const at = performance.now()
    if (depth !== moved.depth) moved = { depth, at }
    if (hasBegun(state)) first ??= startAt(state)
    if (first && ((await hasEnded(state)) || at - first.at >= limitMs)) {
      // All messages may arrive between two looks. The time before the first look is then measured as well.
      const from = depth === first.depth ? before : first
      return from.stop(Math.abs(depth - from.depth))
    }
    if (at - moved.at > (first ? STALLED_MS : COME_MS))
      throw new Error(`the queue does not change, with ${depth} messages in it`)
    await sleep(LOOK_MS)
  }
}
