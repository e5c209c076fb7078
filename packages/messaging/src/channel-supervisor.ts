import { errorMessage, fullJitterMs, pause } from '@cashflow/async'
import type { BrokerConnection } from './broker-connection.ts'
import { BACKOFF, type ConnectionSupervisor } from './connection-supervisor.ts'
import { isOverPublish, isRefusal, isUnacknowledged } from './errors.ts'
import type { Logger } from './logger.ts'

/** Extra wait after a refusal: it lasts until an operator acts, and faster attempts would only fill the log. */
const REFUSED_WAIT_MS = 5_000

export interface ChannelSupervisorOptions {
  connection: ConnectionSupervisor
  logger: Logger
  /** Name of the channel's user, for logs. */
  name: string
  /** Opens a channel and works on it. Throws when the channel is lost. Returns when a new channel is needed at once. */
  runChannel(broker: BrokerConnection): Promise<void>
}

/**
 * Runs one channel after the other on the present connection, until `stopping` aborts. A channel can be lost while its
 * connection lives: by 404, by 406, or when its consumer is cancelled.
 */
export async function superviseChannel(options: ChannelSupervisorOptions, stopping: AbortSignal): Promise<void> {
  const { connection, logger, name, runChannel } = options
  let failures = 0
  while (!stopping.aborted) {
    const broker = await connection.broker(stopping).catch(() => undefined)
    if (!broker) return
    const startedAt = performance.now()
    try {
      await runChannel(broker)
    } catch (error) {
      // After the loss of a connection, its supervisor decides when to try again.
      if (stopping.aborted || broker.closed.aborted) continue
      // Two causes do not raise the backoff. A refused message must not delay other messages, and the publisher decides
      // when to send it again. A late acknowledgement shows a slow handler and a healthy broker.
      const isSteady = performance.now() - startedAt > BACKOFF.capMs || isOverPublish(error) || isUnacknowledged(error)
      failures = isSteady ? 0 : failures + 1
      const backoffMs = fullJitterMs(failures + 1, BACKOFF)
      const waitMs = Math.round(isRefusal(error) ? backoffMs + REFUSED_WAIT_MS : backoffMs)
      const facts = { channel: name, host: broker.endpoint.name, reason: errorMessage(error), retry_ms: waitMs }
      if (isRefusal(error)) logger.error('RabbitMQ refuses a request of this channel', facts)
      else if (isUnacknowledged(error))
        logger.warn('an acknowledgement came too late, RabbitMQ delivers its messages again', facts)
      else logger.warn('lost a RabbitMQ channel', facts)
      await pause(waitMs, stopping)
    }
  }
}
