import { setTimeout as sleep } from 'node:timers/promises'
import { type ConnectionSupervisor, lookAtQueue } from '@cashflow/messaging'
import { type Component, createCondition, type Logger, redactedErrorMessage } from '@cashflow/runtime'

const LOOK_MS = 10_000
// A broker that blocks publishing answers when it takes messages again. A silent one is given up by its heartbeats.
const LOOK_DEADLINE_MS = 86_400_000

export interface QueueWatchOptions {
  connection: ConnectionSupervisor
  /** The queue of `MQ_QUEUE`, where this relay's payments go. */
  queue: string
  logger: Logger
  /** Between two looks, in milliseconds. Default: 10,000. */
  lookMs?: number
}

/**
 * Looks whether a worker consumes the relay's queue, and warns where two looks in a row find messages and no consumer. All
 * workers may be away, or their `MQ_QUEUE` differs from this relay's: its payments then wait until they are redriven, and
 * again whenever this relay is the one that publishes them.
 */
export function createQueueWatch({ connection, queue, logger, lookMs = LOOK_MS }: QueueWatchOptions): Component {
  const stopping = new AbortController()
  const { signal } = stopping
  let running: Promise<void> | undefined
  const unread = createCondition(logger, {
    message: 'no worker consumes the queue that this relay publishes to, its messages wait',
    over: 'a worker consumes the queue that this relay publishes to',
  })
  const unseen = createCondition(logger, {
    message: 'could not look whether a worker consumes the queue',
    over: 'the queue can be looked at again',
  })

  async function run(): Promise<void> {
    let looks = 0
    while (!signal.aborted) {
      try {
        const state = await lookAtQueue(await connection.broker(signal), queue, signal, LOOK_DEADLINE_MS)
        const isUnread = state !== 'missing' && state.ready > 0 && state.consumers === 0
        looks = isUnread ? looks + 1 : 0
        if (isUnread && looks > 1) unread.holds({ queue, ready_messages: state.ready, settings: 'MQ_QUEUE' })
        // Not where the queue is empty or gone, and still no worker consumes it.
        else if (state !== 'missing' && state.consumers > 0) unread.isOver({ queue })
        unseen.isOver()
      } catch (error) {
        if (!signal.aborted) unseen.holds({ queue, reason: redactedErrorMessage(error) })
      }
      await sleep(lookMs, undefined, { signal }).catch(() => {}) // Only abort rejects.
    }
  }

  return {
    name: 'queue watch',
    async start() {
      running ??= run()
    },
    async stop() {
      stopping.abort(new Error('the queue watch was stopped'))
      await running
    },
  }
}
