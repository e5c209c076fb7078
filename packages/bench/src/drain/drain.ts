import type { NewMessage } from '@cashflow/outbox'
import { openClient } from '@cashflow/testing'
import type { Context } from '../benchmark.ts'
import type { Pace } from '../meter.ts'
import { createdMessages } from '../queue/messages.ts'
import { measureRise, type Rise } from '../queue/pace.ts'
import { openQueue } from '../queue/queue.ts'
import type { Chunks, Relay, StartedRelay } from './relay.ts'

export interface Drain {
  /** How many messages are published first, so that no process is measured while it warms up. */
  readonly warmUp: number
  /** The backlog that is then there at once. */
  readonly messages: Chunks
  /** How many these are. */
  readonly count: number
  /** How many of them are published before measuring begins. Default: none. */
  readonly skip?: number
  /** For how long it is measured at most. */
  readonly limitMs?: number
  /** Whether an old reader's snapshot is held meanwhile. */
  readonly snapshot?: boolean
  /** Default: 1. */
  readonly instances?: number
  /** Looks at what is left behind. */
  readonly check?: (started: StartedRelay) => Promise<void>
}

/** Has a relay drain a backlog. @returns the pace from the first message to the last one in the queue */
export async function drain(
  { servers, signal }: Pick<Context, 'servers' | 'signal'>,
  relay: Relay,
  { warmUp, messages, count, skip = 0, limitMs, snapshot = false, instances = 1, check }: Drain,
): Promise<Pace> {
  await using cleanup = new AsyncDisposableStack()
  const started = cleanup.adopt(await relay.start(servers, instances), ({ stop }) => stop())
  const queue = cleanup.adopt(await openQueue(started.place.brokerUrl), ({ close }) => close())
  const measure = async (given: Chunks, rise: Omit<Rise, 'signal'>) => {
    const giving = started.give(untilAborted(given, signal))
    try {
      const [pace] = await Promise.all([measureRise(queue, { ...rise, signal }), giving])
      return pace
    } finally {
      await giving.catch(() => {}) // It is thrown above.
    }
  }
  await measure(createdMessages(warmUp), { from: 0, to: warmUp })
  if (snapshot) await holdSnapshot(started.place.databaseUrl, cleanup)
  const limit = limitMs === undefined ? {} : { limitMs }
  const pace = await measure(messages, { from: warmUp + skip, to: warmUp + count, ...limit })
  await check?.(started)
  return pace
}

/** As a long report does, or a dump. */
async function holdSnapshot(databaseUrl: string, cleanup: AsyncDisposableStack): Promise<void> {
  const reader = cleanup.adopt(await openClient(databaseUrl), (own) => own.end())
  await reader.query('begin isolation level repeatable read')
  await reader.query('select count(*) from pg_class')
}

function* untilAborted(chunks: Chunks, signal: AbortSignal): Generator<readonly NewMessage[]> {
  for (const chunk of chunks) {
    signal.throwIfAborted()
    yield chunk
  }
}
