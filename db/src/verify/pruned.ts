import { type Kysely, sql } from 'kysely'
import { whileAway } from '../postgres/pages.ts'
import type { Tables } from '../tables.ts'

/**
 * Returns which of these payments an operator has pruned. A payment is deleted after its reference is stored here, so a
 * payment that an earlier statement did not find is found here, or was never pruned.
 */
export async function findPruned(db: Kysely<Tables>, ids: readonly string[]): Promise<ReadonlySet<string>> {
  if (ids.length === 0) return new Set()
  // One parameter for any number of ids. As `sql`: the builder has no arrays of a type.
  const isOne = sql<string>`any(${ids}::uuid[])`
  const rows = await whileAway(() => db.selectFrom('pruned_references').select('id').where('id', '=', isOne).execute())
  return new Set(rows.map(({ id }) => id))
}
