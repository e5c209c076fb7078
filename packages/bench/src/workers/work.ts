import type { Context } from '../benchmark.ts'
import type { Place } from '../place.ts'
import { measureFall } from '../queue/pace.ts'
import { openQueue, type QueueState } from '../queue/queue.ts'
import type { Pace } from '../resources.ts'
import type { Servers } from '../servers.ts'

/** A program that processes the messages of the work queue. */
export interface Worker {
  /** Creates a place with `count` PENDING payments, whose messages are in its queue. */
  prepare(servers: Servers, count: number, signal: AbortSignal): Promise<Place>
  start(servers: Servers, place: Place, count: number, instances: number): Promise<{ stop(): Promise<void> }>
  /** Returns whether every message that was taken from the queue is processed. */
  isDone(place: Place, state: QueueState): Promise<boolean>
}

export interface Work {
  /** Number of messages in the queue before the worker starts. */
  readonly count: number
  /** Maximum duration of the measurement, in milliseconds. */
  readonly limitMs?: number
  /** Number of processes. Default: 1. */
  readonly instances?: number
}

/** Share of the messages that warm up the processes before the measurement. */
const WARM_UP_SHARE = 0.2

/** Lets a worker process the queue. @returns the pace until the last payment is settled */
export async function work(
  { servers, signal }: Pick<Context, 'servers' | 'signal'>,
  worker: Worker,
  { count, limitMs, instances = 1 }: Work,
): Promise<Pace> {
  await using cleanup = new AsyncDisposableStack()
  const place = cleanup.adopt(await worker.prepare(servers, count, signal), ({ drop }) => drop())
  const queue = cleanup.adopt(await openQueue(place.brokerUrl), ({ close }) => close())
  // The worker processes messages before it has logged `ready`.
  const starting = worker.start(servers, place, count, instances)
  cleanup.defer(async () => (await starting.catch(() => undefined))?.stop()) // An error of the start is thrown below.
  const fall = {
    from: Math.round(count * (1 - WARM_UP_SHARE)),
    isDone: (state: QueueState) => worker.isDone(place, state),
    signal,
    ...(limitMs !== undefined && { limitMs }),
  }
  const [pace] = await Promise.all([measureFall(queue, fall), starting])
  return pace
}
