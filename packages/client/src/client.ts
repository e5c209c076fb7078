import { createEvents } from './events.ts'
import { createPayments } from './payments.ts'
import type { Retry, Settings } from './send.ts'
import { createWebhookChecks } from './webhook-checks.ts'
import { createWebhooks } from './webhooks.ts'

const TIMEOUT_MS = 60_000
const ATTEMPT_TIMEOUT_MS = 10_000

export interface ClientOptions {
  /** The API's address, such as `https://payments.example.com`. The client adds `/api/v1`. */
  url: string
  /** An API key. Only an API without authentication needs none. */
  key?: string | undefined
  /** Maximum time of a call with its retries, in milliseconds. Default: 60,000. */
  timeoutMs?: number
  /** Maximum time of one attempt, in milliseconds, without the time that it asks the API to wait. Default: 10,000. */
  attemptTimeoutMs?: number
  /** Called before a failed attempt is repeated, to log it. */
  onRetry?: (retry: Retry) => void
}

export type CashflowClient = ReturnType<typeof createClient>

/** Creates a client of the API. Each call throws a `CashflowError`, or the reason of its `signal`. */
export function createClient(options: ClientOptions) {
  const settings: Settings = {
    base: `${options.url.replace(/\/+$/, '')}/api/v1`,
    key: options.key,
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    attemptTimeoutMs: options.attemptTimeoutMs ?? ATTEMPT_TIMEOUT_MS,
    onRetry: options.onRetry,
  }
  const webhooks = { ...createWebhooks(settings), ...createWebhookChecks(settings) }
  return { payments: createPayments(settings), events: createEvents(settings), webhooks }
}
