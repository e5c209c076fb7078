import type { CashflowClient } from './client.ts'
import type { WebhookEvent } from './webhook-event.ts'
import type { webhookMiddleware as middleware } from './webhook-middleware.ts'

export { ApiError, CashflowError, NoAnswerError } from './errors.ts'
export { WebhookVerificationError } from './webhook-refusal.ts'

/** Stands in for the client in a bundle for browsers. */
export function createClient(): CashflowClient {
  throw new Error(
    '@cashflow/client does not run in a browser: everyone who opens the page could read the API key. Call the API from your server.',
  )
}

/** Stands in for it in a bundle for browsers. */
export function verifyWebhook(): WebhookEvent {
  throw new Error(WEBHOOKS)
}

/** Stands in for it in a bundle for browsers. */
export function webhookMiddleware(): ReturnType<typeof middleware> {
  throw new Error(WEBHOOKS)
}

const WEBHOOKS =
  '@cashflow/client verifies no webhooks in a browser: everyone who opens the page could read the secret. Verify them on your server.'
