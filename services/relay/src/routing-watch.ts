import { type Loops, pause } from '@cashflow/async'
import { type ConnectionSupervisor, hasExchange, lookAtQueue } from '@cashflow/messaging'
import {
  backgroundComponent,
  type Component,
  createCondition,
  type Logger,
  redactedErrorMessage,
} from '@cashflow/runtime'

const LOOK_MS = 10_000
// A broker that blocks publishers answers when it takes messages again. Heartbeats end a connection to a silent broker.
const LOOK_DEADLINE_MS = 86_400_000

export interface RoutingWatchOptions {
  connection: ConnectionSupervisor
  /** The queue of `MQ_QUEUE`, which gets this relay's payments. */
  queue: string
  /** The exchange to which this relay publishes. */
  exchange: string
  /** An exchange to which relays with other settings publish. Consumers may still be bound to it. */
  formerExchange?: string | undefined
  /** Returns whether an operator has paused the relays or the workers. */
  isPaused: () => boolean
  logger: Logger
  /** Time between two checks of the queue, in milliseconds. Default: 10,000. */
  lookMs?: number
}

interface QueueState {
  /** Number of messages that no consumer has yet. */
  readonly ready: number
  readonly consumers: number
}

export interface RoutingWatch extends Component {
  /** The queue at the last check. Undefined without one, and if the check is long ago, as while RabbitMQ is away. */
  seen(): QueueState | undefined
}

/**
 * Warns if messages of this relay may not reach their consumers.
 *
 * 1. While it runs, it checks whether a worker consumes the queue. It warns if two checks in a row find messages and no
 *    consumer. Then all workers are away, or their `MQ_QUEUE` differs from this relay's. The payments wait until they are
 *    redriven, and again each time this relay publishes them. It does not warn during a pause.
 * 2. At its start, it checks whether the former exchange exists. AMQP does not show which consumers are bound to it.
 */
export function createRoutingWatch(options: RoutingWatchOptions): RoutingWatch {
  const { connection, queue, exchange, formerExchange, isPaused, logger, lookMs = LOOK_MS } = options
  const stopping = new AbortController()
  const { signal } = stopping
  const unread = createCondition(logger, {
    message: 'no worker consumes the queue that this relay publishes to, its messages wait',
    ended: 'a worker consumes the queue that this relay publishes to',
  })
  const held = createCondition(logger, {
    level: 'info',
    message: 'no worker consumes the queue because of a pause, its messages wait',
    ended: 'no pause keeps workers from the queue any more',
  })
  const unseen = createCondition(logger, {
    message: 'could not check whether a worker consumes the queue',
    ended: 'the queue can be checked again',
  })

  let seen: QueueState | undefined
  let seenAt = 0

  async function watchQueue(loops: Loops): Promise<void> {
    const loop = loops.begin('routing watch')
    let looks = 0
    while (!signal.aborted) {
      try {
        // Outwaited: a broker that blocks publishers does not answer.
        const look = async () => lookAtQueue(await connection.broker(signal), queue, signal, LOOK_DEADLINE_MS)
        const state = await loop.outwait(look())
        seen = state === 'missing' ? undefined : state
        seenAt = performance.now()
        const isUnread = state !== 'missing' && state.ready > 0 && state.consumers === 0
        if (isUnread && isPaused()) held.holds({ queue, ready_messages: state.ready })
        else if (!isPaused()) held.ended({ queue })
        looks = isUnread && !isPaused() ? looks + 1 : 0
        if (isUnread && looks > 1) unread.holds({ queue, ready_messages: state.ready, settings: 'MQ_QUEUE' })
        // An empty or missing queue does not show that a worker consumes it.
        else if (state !== 'missing' && state.consumers > 0) unread.ended({ queue })
        unseen.ended()
      } catch (error) {
        if (!signal.aborted) unseen.holds({ queue, reason: redactedErrorMessage(error) })
      }
      await pause(lookMs, signal)
    }
  }

  async function checkFormerExchange(former: string): Promise<void> {
    try {
      if (!(await hasExchange(connection, former, signal))) return
      logger.warn('an exchange of other settings exists, consumers bound to it get nothing from this relay', {
        exchange: former,
        published_to: exchange,
        settings: 'MQ_QUEUE, MQ_EXCHANGE',
      })
    } catch (error) {
      if (!signal.aborted)
        logger.warn('could not check for a former exchange', { exchange: former, reason: redactedErrorMessage(error) })
    }
  }

  const run = (loops: Loops) =>
    Promise.all([watchQueue(loops), formerExchange !== undefined && checkFormerExchange(formerExchange)])
  return {
    ...backgroundComponent('routing watch', run, stopping),
    seen: () => (performance.now() - seenAt < 3 * lookMs ? seen : undefined),
  }
}
