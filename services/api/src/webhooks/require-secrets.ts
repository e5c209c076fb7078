import type { Logger } from '@cashflow/runtime'
import type { AddressPolicy, SecretBox } from '@cashflow/webhook-sender'
import type { RequestHandler } from 'express'
import { requireScope } from '../auth/authenticate.ts'
import { Problem } from '../problem.ts'

const LOG_EVERY_MS = 60_000

/** What the routes of webhooks need besides the database. */
export interface WebhookSettings {
  /** Seals the secrets of endpoints. */
  readonly box: SecretBox
  /** Which addresses an endpoint may have. */
  readonly policy: AddressPolicy
}

/**
 * Makes the handlers of a route of webhooks: its key needs the scope, and the deployment needs SECRETS_KEY. Without the
 * setting the answer is 503, and the log names the setting, at most once a minute.
 *
 * @param webhooks undefined without the setting
 */
export function createManage(
  webhooks: WebhookSettings | undefined,
  { logger, now = () => performance.now() }: { logger: Logger; now?: () => number },
) {
  let nextAt = Number.NEGATIVE_INFINITY

  const refuse: RequestHandler = () => {
    if (now() >= nextAt) {
      nextAt = now() + LOG_EVERY_MS
      logger.warn('requests for webhooks are refused: SECRETS_KEY is not set')
    }
    throw new Problem('webhooks-not-configured', 'The operator of this deployment has not set webhooks up.')
  }

  return <Params = object>(
    make: (settings: WebhookSettings) => RequestHandler<Params>,
    ...before: RequestHandler<Params>[]
  ): RequestHandler<Params>[] => [
    requireScope('webhooks:manage') as RequestHandler<Params>,
    ...(webhooks ? [...before, make(webhooks)] : [refuse as RequestHandler<Params>]),
  ]
}
