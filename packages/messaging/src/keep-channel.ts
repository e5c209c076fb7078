import { setTimeout as sleep } from 'node:timers/promises'
import { BACKOFF_MAX_MS, backoffMs } from './backoff.ts'
import type { ConnectionSupervisor } from './connection.ts'
import { errorMessage, isOverPublish, isRefusal, isUnacknowledged } from './errors.ts'
import type { BrokerConnection } from './link.ts'
import type { Logger } from './logger.ts'

/** A refusal waits for an operator: asking faster would only fill the log. */
const REFUSED_WAIT_MS = 5_000

export interface KeepChannelOptions {
  connection: ConnectionSupervisor
  logger: Logger
  /** Whose channel it is, for logs. */
  name: string
  /** Opens a channel on the link and holds it. Throws when it is lost, returns when it is no longer wanted. */
  hold(link: BrokerConnection): Promise<void>
}

/** Holds one channel, again and again, on whatever connection there is. Channels die alone too: 404, 406, a cancel. */
export async function superviseChannel(options: KeepChannelOptions, stopping: AbortSignal): Promise<void> {
  const { connection, logger, name, hold } = options
  let failures = 0
  while (!stopping.aborted) {
    const link = await connection.link(stopping).catch(() => undefined)
    if (!link) return
    const startedAt = performance.now()
    try {
      await hold(link)
    } catch (error) {
      // Without its connection no channel lives, and how soon there is another is the connection's to say.
      if (stopping.aborted || link.closed.aborted) continue
      // A message that costs the channel must not delay the others. When it is sent again is the sender's decision. What was
      // not acknowledged in time was in hand for RabbitMQ's `consumer_timeout`: the broker is well.
      const isSteady = performance.now() - startedAt > BACKOFF_MAX_MS || isOverPublish(error) || isUnacknowledged(error)
      failures = isSteady ? 0 : failures + 1
      const waitMs = Math.round(backoffMs(failures) + (isRefusal(error) ? REFUSED_WAIT_MS : 0))
      const facts = { channel: name, host: link.endpoint.name, reason: errorMessage(error), retry_ms: waitMs }
      if (isRefusal(error)) logger.error('RabbitMQ refuses what this channel needs', facts)
      else if (isUnacknowledged(error))
        logger.warn('RabbitMQ waited too long for an acknowledgement, it delivers again', facts)
      else logger.warn('lost a channel of RabbitMQ', facts)
      await sleep(waitMs, undefined, { signal: stopping }).catch(() => {})
    }
  }
}
