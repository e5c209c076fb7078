import type { CashflowClient } from './client.ts'

export { ApiError, CashflowError, NoAnswerError } from './errors.ts'

/** Stands in for the client in a bundle for browsers. */
export function createClient(): CashflowClient {
  throw new Error(
    '@cashflow/client does not run in a browser: everyone who opens the page could read the API key. Call the API from your server.',
  )
}
