import { sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'

/**
 * Makes the transaction's COMMIT wait for the synchronous standby. PostgreSQL does not wait after a transaction that wrote
 * nothing, although the rows that it read may not have reached the standby.
 */
export async function waitForStandby(tx: Transaction<Tables>): Promise<void> {
  await tx.selectNoFrom(forceReplicationWait().as('mark')).execute()
}

/** The same as an expression, for use in a larger statement. PostgreSQL waits for any record in its log. */
export function forceReplicationWait() {
  return sql<string>`pg_logical_emit_message(true, 'cashflow', '')`
}
