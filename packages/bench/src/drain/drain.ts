import type { NewMessage } from '@cashflow/outbox'
import { openClient } from '@cashflow/testing'
import type { Context } from '../benchmark.ts'
import type { Place } from '../place.ts'
import { createdMessages } from '../queue/messages.ts'
import { measureRise, type Rise } from '../queue/pace.ts'
import { openQueue } from '../queue/queue.ts'
import type { Pace } from '../resources.ts'
import type { Servers } from '../servers.ts'

export type Chunks = Iterable<readonly NewMessage[]>

/**
 * Starts `instances` processes of a program that publishes messages to the work queue, at a new place with nothing to
 * publish. `cleanup` stops them, and drops the place.
 */
export type Relay = (servers: Servers, cleanup: AsyncDisposableStack, instances: number) => Promise<StartedRelay>

export interface StartedRelay {
  readonly place: Place
  /** Gives it messages to publish, committed in one transaction, after which the planner knows the tables' sizes. */
  give(messages: Chunks): Promise<void>
}

export interface Drain {
  /** Number of messages that are published before the measurement, to warm up every process. */
  readonly warmUp: number
  /** The backlog, committed at once. */
  readonly messages: Chunks
  /** Number of messages in the backlog. */
  readonly count: number
  /** Number of messages of the backlog that are published before the measurement begins. Default: 0. */
  readonly skip?: number
  /** Maximum duration of the measurement, in milliseconds. */
  readonly limitMs?: number
  /** True if a snapshot is held during the measurement, as a long report or a dump does. */
  readonly snapshot?: boolean
  /** Number of processes. Default: 1. */
  readonly instances?: number
  /** Checks the place after the measurement. */
  readonly check?: (place: Place) => Promise<void>
}

/** Lets a relay drain a backlog. @returns the pace from the first message to the last one in the queue */
export async function drain(
  { servers, signal }: Pick<Context, 'servers' | 'signal'>,
  relay: Relay,
  { warmUp, messages, count, skip = 0, limitMs, snapshot = false, instances = 1, check }: Drain,
): Promise<Pace> {
  await using cleanup = new AsyncDisposableStack()
  const started = await relay(servers, cleanup, instances)
  const queue = cleanup.use(await openQueue(started.place.brokerUrl))
  const measure = async (given: Chunks, rise: Omit<Rise, 'signal'>) => {
    // Before `give`: a fast relay could publish everything before the first look, and the rate would be 0.
    const before = await queue.state()
    const measuring = measureRise(queue, { ...rise, before, signal })
    const giving = started.give(untilAborted(given, signal))
    try {
      const [pace] = await Promise.all([measuring, giving])
      return pace
    } finally {
      await giving.catch(() => {}) // Thrown above.
    }
  }
  await measure(createdMessages(warmUp), { from: 0, to: warmUp })
  if (snapshot) {
    const reader = cleanup.adopt(await openClient(started.place.databaseUrl), (own) => own.end())
    await reader.query('begin isolation level repeatable read')
    await reader.query('select count(*) from pg_class')
  }
  const pace = await measure(messages, { from: warmUp + skip, to: warmUp + count, limitMs })
  await check?.(started.place)
  return pace
}

function* untilAborted(chunks: Chunks, signal: AbortSignal): Generator<readonly NewMessage[]> {
  for (const chunk of chunks) {
    signal.throwIfAborted()
    yield chunk
  }
}
