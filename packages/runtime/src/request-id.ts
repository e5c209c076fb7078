import { withoutKeys } from './redact.ts'

const WELL_FORMED = /^[A-Za-z0-9._-]{1,128}$/

/** True for a client's request id that may go unchanged into logs, the database and AMQP headers. An API key may not. */
export function isRequestId(given: unknown): given is string {
  return typeof given === 'string' && WELL_FORMED.test(given) && withoutKeys(given) === given
}
