import type { Transaction } from 'kysely'
import type { Tables } from '../tables.ts'

/** The same transaction, for its last statement: COMMIT is sent together with it. */
export function lastStatement(tx: Transaction<Tables>): Transaction<Tables> {
  return tx
}
