import { mayBeItemsOwn } from '@cashflow/db'

/** 57014, query_canceled: the server ended a statement. */
export function tookTooLong(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '57014'
}

/**
 * Whether what is stored in one lane may have caused an error of PostgreSQL: a damaged or unreadable page, a limit of the
 * server, a bug in its rendering, more than a statement has the time to read.
 */
export function concernsMessages(error: unknown): boolean {
  return tookTooLong(error) || mayBeItemsOwn(error)
}
