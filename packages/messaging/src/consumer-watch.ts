import { setTimeout as sleep } from 'node:timers/promises'
import { aborted, errorMessage, type Loop, Loops } from '@cashflow/async'
import type { BrokerConnection } from './broker-connection.ts'
import type { Logger } from './logger.ts'
import { lookAtQueue } from './topology.ts'

export interface WatchTimes {
  /** Time in which a consumer with room receives nothing before the watch looks at its queue, in milliseconds. */
  readonly quietMs: number
  /** Maximum of `quietMs`, in milliseconds. It doubles with each new subscription that brings no delivery. */
  readonly quietMaxMs: number
  /** Time from the first look to the second, in milliseconds. */
  readonly secondLookMs: number
  /** Deadline of a look, in milliseconds. A look without an answer drops the connection. */
  readonly lookDeadlineMs: number
}

// Heartbeats end a silent connection before a look's deadline does. So a look does not disconnect a slow broker.
const TIMES: WatchTimes = { quietMs: 10_000, quietMaxMs: 60_000, secondLookMs: 5_000, lookDeadlineMs: 30_000 }

/** A subscription, as the watch sees it. */
export interface WatchedConsumer {
  /** Aborted when the subscription has ended. */
  readonly ended: AbortSignal
  /** Deliveries so far. */
  readonly received: number
  /** True while fewer deliveries than the prefetch are unsettled: the broker delivers the queue's next message. */
  readonly hasRoom: boolean
}

export interface ConsumerWatchOptions {
  queue: string
  logger: Logger
  times?: WatchTimes | undefined
  /** Returns whether a consumer without deliveries may be healthy, as during an operator's pause. Default: never. */
  isPaused?: (() => boolean) | undefined
}

/**
 * Notices that RabbitMQ has forgotten a consumer without a `basic.cancel`. RabbitMQ 3.10 does so when a queue is deleted
 * and declared again while messages are published to it. The channel then stays open, and nothing is delivered on it.
 * The queue's number of consumers does not show it, because another process may have one.
 */
export function createConsumerWatch({ queue, logger, times = TIMES, isPaused = () => false }: ConsumerWatchOptions) {
  const { quietMs, quietMaxMs, secondLookMs, lookDeadlineMs } = times
  const loops = new Loops()
  /** Subscriptions since the last delivery. */
  let attempts = 0
  let resubscriptions = 0
  let deliveredAt = performance.now()

  /** Waits `ms`. Returns whether the consumer had room and received nothing in that time. */
  async function isQuiet(consumer: WatchedConsumer, ms: number): Promise<boolean> {
    // Room is read before the wait: without a delivery it only grows.
    const { received, hasRoom } = consumer
    await sleep(ms, undefined, { signal: consumer.ended })
    if (consumer.received === received) return hasRoom
    attempts = 0
    deliveredAt = performance.now()
    return false
  }

  /** Returns the number of the queue's ready messages. */
  async function look(broker: BrokerConnection, signal: AbortSignal): Promise<number | 'missing'> {
    try {
      const state = await lookAtQueue(broker, queue, signal, lookDeadlineMs)
      return state === 'missing' ? state : state.ready
    } catch (error) {
      // Not worth a warning: the consumer ends with its connection, and a process that stops needs no consumer.
      if (!broker.closed.aborted && !signal.aborted)
        logger.warn('could not look at a queue that delivers nothing', { queue, reason: errorMessage(error) })
      return 0
    }
  }

  async function watch(
    broker: BrokerConnection,
    consumer: WatchedConsumer,
    signal: AbortSignal,
    loop: Loop,
  ): Promise<boolean> {
    for (;;) {
      loop.beat()
      if (!(await isQuiet(consumer, Math.min(quietMs * 2 ** attempts, quietMaxMs))) || isPaused()) continue
      const { received } = consumer
      // Outwaited, because a broker that blocks publishers does not answer.
      if ((await loop.outwait(look(broker, signal))) === 0 || !(await isQuiet(consumer, secondLookMs))) continue
      const ready = await loop.outwait(look(broker, signal))
      if (ready === 0 || consumer.received > received || isPaused()) continue
      if (consumer.ended.aborted || signal.aborted) return false
      attempts++
      resubscriptions++
      logger.error('RabbitMQ delivers nothing although the queue has messages, subscribing again', {
        queue,
        host: broker.endpoint.name,
        ready_messages: ready,
        idle_ms: Math.round(performance.now() - deliveredAt),
        attempts,
      })
      return true
    }
  }

  return {
    loops,
    /** Number of subscriptions that replaced a forgotten one. */
    get resubscriptions(): number {
      return resubscriptions
    },
    /**
     * Resolves with true when the consumer has to subscribe again: it has room, its queue has messages or is missing, and
     * the broker delivers nothing. Resolves with false when the subscription has ended, or the signal aborts.
     */
    isForgotten(broker: BrokerConnection, consumer: WatchedConsumer, signal: AbortSignal): Promise<boolean> {
      const loop = loops.begin('consumer watch')
      const ended = aborted(consumer.ended, signal).then(() => false)
      // `watch` rejects when the subscription ends.
      const watching = watch(broker, consumer, signal, loop).catch(() => false)
      return Promise.race([watching, ended]).finally(() => loops.end(loop))
    },
  }
}
