import { setTimeout as sleep } from 'node:timers/promises'
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
 * Resolves with the messages/s that come into a queue that nobody consumes, once it has risen from one depth to another.
 *
 * @throws when nothing comes any more, or more than should
 */
export async function measureRise(queue: Queue, { to, ...course }: Rise): Promise<number> {
  return await measure(queue, course, {
    hasBegun: ({ depth }) => depth > course.from,
    async hasEnded({ depth }) {
      if (depth > to) throw new Error(`${depth - to} messages were published more than once`)
      return depth === to
    },
  })
}

/** Resolves with the messages/s that are taken out of a queue into which nothing comes, and dealt with. */
export async function measureFall(queue: Queue, { isDone, ...course }: Fall): Promise<number> {
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
): Promise<number> {
  let before = await look(queue)
  let first: Look | undefined
  let moved = before
  for (;;) {
    signal.throwIfAborted()
    const now = await look(queue)
    if (now.state.depth !== moved.state.depth) moved = now
    if (hasBegun(now.state)) first ??= now
    if (first && ((await hasEnded(now.state)) || now.at - first.at >= limitMs))
      return rate(first.state.depth === now.state.depth ? before : first, { ...now, at: performance.now() })
    if (now.at - moved.at > (first ? STALLED_MS : COME_MS))
      throw new Error(`nothing moves, with ${now.state.depth} messages in the queue`)
    if (!first) before = now
    await sleep(LOOK_MS)
  }
}

async function look(queue: Queue): Promise<Look> {
  const state = await queue.state()
  return { at: performance.now(), state }
}

function rate(from: Look, to: Look): number {
  return (Math.abs(to.state.depth - from.state.depth) / (to.at - from.at)) * 1_000
}
