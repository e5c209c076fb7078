import { sql, type Transaction } from 'kysely'
import type { Tables } from './tables.ts'

/**
 * Has the transaction's COMMIT wait for the synchronous standby, which one that wrote nothing does not do: what it read
 * may not be there yet. Anything in the log will do.
 */
export async function waitForStandby(tx: Transaction<Tables>): Promise<void> {
  await sql`select pg_logical_emit_message(true, 'cashflow', '')`.execute(tx)
}
