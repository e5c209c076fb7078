import { type ConnectionSupervisor, hasExchange } from '@cashflow/messaging'
import { type Component, type Logger, redactedErrorMessage } from '@cashflow/runtime'

export interface FormerExchangeOptions {
  connection: ConnectionSupervisor
  logger: Logger
  /** Where this relay publishes. */
  exchange: string
  formerExchange: string | undefined
}

/**
 * Warns at the start where an exchange exists that this relay published to before: AMQP does not show who is bound to it.
 * Nothing waits for the answer.
 */
export function createFormerExchange({
  connection,
  logger,
  exchange,
  formerExchange,
}: FormerExchangeOptions): Component {
  const stopping = new AbortController()
  let looking: Promise<void> | undefined

  async function look(former: string): Promise<void> {
    try {
      if (!(await hasExchange(connection, former, stopping.signal))) return
      logger.warn('this relay publishes to another exchange, listeners bound to this one hear nothing from it', {
        exchange: former,
        published_to: exchange,
        setting: 'MQ_EXCHANGE',
      })
    } catch (error) {
      if (!stopping.signal.aborted)
        logger.warn('could not look for a former exchange', { exchange: former, reason: redactedErrorMessage(error) })
    }
  }

  return {
    name: 'former exchange',
    async start() {
      if (formerExchange !== undefined) looking ??= look(formerExchange)
    },
    async stop() {
      stopping.abort()
      await looking
    },
  }
}
