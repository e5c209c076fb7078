import { setTimeout as sleep } from 'node:timers/promises'
import { type Pace, startMeter } from '../meter.ts'
import type { Queue, QueueState } from './queue.ts'

// Each look costs the broker and this process something that those who are measured go without.
const LOOK_MS = 25
// A million messages take their time before they are committed.
const COME_MS = 300_000
const STALLED_MS = 60_000

interface Course {
  /** The depth at which measuring begins. */
  readonly from: number
  /** It ends at the latest this long after it has begun. */
  readonly limitMs?: number
  readonly signal: AbortSignal
}

export interface Rise extends Course {
  /** The depth at which it ends. */
  readonly to: number
}

export interface Fall extends Course {
  /** Whether all that was taken out of the queue is dealt with. */
  readonly isDone: (state: QueueState) => Promise<boolean>
}

/**
 * Resolves with the pace at which messages come into a queue without consumers, once it has risen from one depth to
 * another.
 *
 * @throws when nothing comes any more, or more than should
 */
export async function measureRise(queue: Queue, { to, ...course }: Rise): Promise<Pace> {
  return await measure(queue, course, {
    hasBegun: ({ depth }) => depth > course.from,
    async hasEnded({ depth }) {
      if (depth > to) throw new Error(`${depth - to} messages were published more than once`)
      return depth === to
    },
  })
}

/** Resolves with the pace at which messages are taken out of a queue into which nothing comes, and dealt with. */
export async function measureFall(queue: Queue, { isDone, ...course }: Fall): Promise<Pace> {
  return await measure(queue, course, {
    hasBegun: ({ depth }) => depth < course.from,
    // The last ones are taken, and perhaps not dealt with.
    hasEnded: async (state) => state.depth === 0 && (await isDone(state)),
  })
}

interface Ends {
  readonly hasBegun: (state: QueueState) => boolean
  readonly hasEnded: (state: QueueState) => Promise<boolean>
}

interface Look {
  readonly at: number
  readonly state: QueueState
}

async function measure(
  queue: Queue,
  { limitMs = Number.POSITIVE_INFINITY, signal }: Course,
  { hasBegun, hasEnded }: Ends,
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
      // All may come between two looks: then the time before that is measured as well.
      return count > 0 ? first.stop(count) : stopAll(distance(before, now))
    }
    if (now.at - moved.at > (first ? STALLED_MS : COME_MS))
      throw new Error(`nothing moves, with ${now.state.depth} messages in the queue`)
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
