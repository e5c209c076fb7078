import { mayBeItemsOwn } from '@cashflow/db'

/** True for 57014, query_canceled: the server ended a statement. */
export function tookTooLong(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '57014'
}

/**
 * True if the messages of one lane may have caused an error of PostgreSQL. Causes are a damaged or unreadable page, a
 * limit of the server, a bug in its rendering, or more messages than a statement has the time to read.
 */
export function concernsLane(error: unknown): boolean {
  return tookTooLong(error) || mayBeItemsOwn(error)
}
