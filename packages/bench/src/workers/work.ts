import type { Context } from '../benchmark.ts'
import type { Pace } from '../meter.ts'
import { measureFall } from '../queue/pace.ts'
import { openQueue, type QueueState } from '../queue/queue.ts'
import type { Worker } from './worker.ts'

export interface Work {
  /** Messages that wait before the worker starts. */
  readonly count: number
  /** For how long it is measured at most. */
  readonly limitMs?: number
  /** Default: 1. */
  readonly instances?: number
}

/** Of the messages, that no process is measured while it warms up. */
const WARM_UP_SHARE = 0.2

/** Has a worker empty the queue. @returns the pace, until the last payment is settled */
export async function work(
  { servers, signal }: Pick<Context, 'servers' | 'signal'>,
  worker: Worker,
  { count, limitMs, instances = 1 }: Work,
): Promise<Pace> {
  await using cleanup = new AsyncDisposableStack()
  const place = cleanup.adopt(await worker.prepare(servers, count, signal), ({ drop }) => drop())
  const queue = cleanup.adopt(await openQueue(place.brokerUrl), ({ close }) => close())
  // It takes the first ones before it is known to be there.
  const starting = worker.start(servers, place, count, instances)
  cleanup.defer(async () => (await starting.catch(() => undefined))?.stop()) // What keeps it from starting is thrown below.
  const fall = {
    from: Math.round(count * (1 - WARM_UP_SHARE)),
    isDone: (state: QueueState) => worker.isDone(place, state),
    signal,
    ...(limitMs !== undefined && { limitMs }),
  }
  const [pace] = await Promise.all([measureFall(queue, fall), starting])
  return pace
}
