import type { Context } from '../benchmark.ts'
import type { Contender } from '../contender.ts'
import { createPlace, type Place } from '../place.ts'
import { createdMessages } from '../queue/messages.ts'
import { measureFall } from '../queue/pace.ts'
import { openPublisher, openQueue, type QueueState } from '../queue/queue.ts'
import type { Pace } from '../resources.ts'
import type { Servers } from '../servers.ts'

/** A program that processes the messages of the work queue. */
export interface Worker extends Pick<Contender, 'template' | 'declareQueue'> {
  /** Stores payments with these ids. */
  store(place: Place, ids: readonly string[]): Promise<unknown>
  start(servers: Servers, place: Place, count: number, instances: number): Promise<AsyncDisposable>
  /** Returns whether every message that was taken from the queue is processed. */
  isDone(place: Place, state: QueueState): Promise<boolean>
}

export interface Work {
  /** Number of messages in the queue before the worker starts. */
  readonly count: number
  /** Maximum duration of the measurement, in milliseconds. */
  readonly limitMs: number
  /** Number of processes. Default: 1. */
  readonly instances?: number | undefined
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
  const place = cleanup.use(await createPlace(servers, worker.template))
  await prepare(worker, place, count, signal)
  const queue = cleanup.use(await openQueue(place.brokerUrl))
  // The worker processes messages before it has logged `ready`.
  const starting = worker.start(servers, place, count, instances)
  // An error of the start is thrown below.
  cleanup.defer(async () => (await starting.catch(() => undefined))?.[Symbol.asyncDispose]())
  const from = Math.round(count * (1 - WARM_UP_SHARE))
  const isDone = (state: QueueState) => worker.isDone(place, state)
  const [pace] = await Promise.all([measureFall(queue, { from, isDone, signal, limitMs }), starting])
  return pace
}

/** Stores payments, and publishes their messages. */
async function prepare(worker: Worker, place: Place, count: number, signal: AbortSignal): Promise<void> {
  await worker.declareQueue(place.brokerUrl)
  await using publisher = await openPublisher(place.brokerUrl)
  for (const messages of createdMessages(count)) {
    signal.throwIfAborted()
    const ids = messages.map(({ key }) => key)
    await worker.store(place, ids)
    await publisher.publish(messages)
  }
  // This leaves the tables as autovacuum does. Otherwise the first reader would clean up.
  await place.query('vacuum analyze')
}
