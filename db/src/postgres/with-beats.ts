import type { Loop } from '@cashflow/async'
import type { Kysely, KyselyPlugin } from 'kysely'
import type { Tables } from '../tables.ts'

/**
 * The same database, for one loop: each statement is a beat of it. A statement has a limit, but a turn of the loop may have
 * a hundred of them, and PostgreSQL may be slow.
 */
export function withBeats(db: Kysely<Tables>, loop: Loop): Kysely<Tables> {
  const beats: KyselyPlugin = {
    transformQuery({ node }) {
      loop.beat()
      return node
    },
    transformResult: async ({ result }) => result,
  }
  return db.withPlugin(beats)
}
