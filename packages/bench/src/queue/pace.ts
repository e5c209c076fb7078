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

interface Look {
  readonly at: number
  readonly state: QueueState
}

async function measure(
  queue: Queue,
  { limitMs = Number.POSITIVE_INFINITY, signal }: Omit<Bounds, 'from'>,
  { hasBegun, hasEnded }: { hasBegun(state: QueueState): boolean; hasEnded(state: QueueState): Promise<boolean> },
): Promise<Pace> {
  const before = await look(queue)
  const stopAll = startMeter()
  let first: { readonly look: Look; readonly stop: (count: number) => Pace } | undefined
  let moved = before
  for (;;) {
    signal.throwIfAborted()
    const now = await look(queue)
    if (now.state.depth !== moved.state.depth) moved = now
    if (hasBegun(now.state)) first ??= { look: now, stop: startMeter() }
    if (first && ((await hasEnded(now.state)) || now.at - first.look.at >= limitMs)) {
      const count = distance(first.look, now)
      // All messages may arrive between two looks. The time before the first look is then measured as well.
      return count > 0 ? first.stop(count) : stopAll(distance(before, now))
    }
    if (now.at - moved.at > (first ? STALLED_MS : COME_MS))
      throw new Error(`the queue does not change, with ${now.state.depth} messages in it`)
    await sleep(LOOK_MS)
  }
}

async function look(queue: Queue): Promise<Look> {
  const state = await queue.state()
  return { at: performance.now(), state }
}

function distance(from: Look, to: Look): number {
  return Math.abs(to.state.depth - from.state.depth)
}
