import { setTimeout as sleep } from 'node:timers/promises'
import type { DeliverySession } from './delivery-session.ts'
import { errorMessage } from './errors.ts'
import type { BrokerConnection } from './link.ts'
import type { Logger } from './logger.ts'
import { lookAtQueue } from './topology.ts'

export interface WatchTimes {
  /** How long a consumer with room is delivered nothing before its queue is looked at, in milliseconds. */
  readonly quietMs: number
  /** The most that `quietMs` becomes: it doubles with each subscription that brings no delivery. */
  readonly quietMaxMs: number
  /** From the first look to the second, in milliseconds. */
  readonly secondLookMs: number
  /** How long a look may take before it loses the connection, in milliseconds. */
  readonly lookDeadlineMs: number
}

// A silent connection ends before a look's deadline: a broker that is only slow is not disturbed by the look.
const TIMES: WatchTimes = { quietMs: 10_000, quietMaxMs: 60_000, secondLookMs: 5_000, lookDeadlineMs: 30_000 }

export interface ConsumerWatch {
  /**
   * Resolves with true when the consumer has to subscribe again: it has room, its queue has messages or is gone, and
   * nothing is delivered. Resolves with false when the session is over, or the signal aborts.
   */
  isForgotten(link: BrokerConnection, session: DeliverySession, signal: AbortSignal): Promise<boolean>
}

/**
 * RabbitMQ can forget a consumer without a `basic.cancel`: 3.10 does when a queue is deleted and declared again while
 * messages are published to it. The channel then stays open, and nothing is delivered on it. The number of consumers
 * does not show it: another process may have one.
 */
export function createConsumerWatch({
  queue,
  logger,
  times: { quietMs, quietMaxMs, secondLookMs, lookDeadlineMs } = TIMES,
}: {
  queue: string
  logger: Logger
  times?: WatchTimes | undefined
}): ConsumerWatch {
  /** Subscriptions since the last delivery. */
  let attempts = 0
  let deliveredAt = performance.now()

  /** Whether the session has room for `ms`, and is delivered nothing in that time. */
  async function isQuiet(session: DeliverySession, ms: number): Promise<boolean> {
    // Without a delivery its room only grows.
    const { received, hasRoom } = session
    await sleep(ms, undefined, { signal: session.over })
    if (session.received === received) return hasRoom
    attempts = 0
    deliveredAt = performance.now()
    return false
  }

  /** Ready messages of the queue. */
  async function look(link: BrokerConnection, signal: AbortSignal): Promise<number | 'missing'> {
    try {
      const state = await lookAtQueue(link, queue, signal, lookDeadlineMs)
      return state === 'missing' ? state : state.ready
    } catch (error) {
      // A lost connection takes the consumer with it, and a process that stops needs none.
      if (!link.closed.aborted && !signal.aborted)
        logger.warn('could not look at a queue that delivers nothing', { queue, reason: errorMessage(error) })
      return 0
    }
  }

  return {
    async isForgotten(link, session, signal) {
      try {
        for (;;) {
          if (!(await isQuiet(session, Math.min(quietMs * 2 ** attempts, quietMaxMs)))) continue
          const { received } = session
          if ((await look(link, signal)) === 0 || !(await isQuiet(session, secondLookMs))) continue
          const ready = await look(link, signal)
          if (ready === 0 || session.received > received) continue
          if (session.over.aborted || signal.aborted) return false
          attempts++
          logger.error('RabbitMQ delivers nothing of a queue that has messages, subscribing again', {
            queue,
            host: link.endpoint.name,
            ready_messages: ready,
            idle_ms: Math.round(performance.now() - deliveredAt),
            attempts,
          })
          return true
        }
      } catch {
        return false // The session is over.
      }
    },
  }
}
