import { type Expression, sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'

/**
 * Has the transaction's COMMIT wait for the synchronous standby, which one that wrote nothing does not do: what it read
 * may not be there yet.
 */
export async function waitForStandby(tx: Transaction<Tables>): Promise<void> {
  await sql`select ${standbyMark()}`.execute(tx)
}

/** The same as a part of a statement. Anything in the log will do. */
export function standbyMark(): Expression<unknown> {
  return sql`pg_logical_emit_message(true, 'cashflow', '')`
}
