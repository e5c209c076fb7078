import { type Logger, type Part, waitFor } from '@cashflow/runtime'
import { type Kysely, sql } from 'kysely'
import { ensureSchema } from './migrate.ts'
import type { Tables } from './tables.ts'

/** The pool as a part of a process: starts once PostgreSQL answers and its schema is new enough; stop closes the pool. */
export function databasePart(db: Kysely<Tables>, logger: Logger): Part {
  return {
    name: 'database',
    async start(signal) {
      await waitFor('PostgreSQL', () => sql`select 1`.execute(db), { logger, signal })
      await ensureSchema(db)
    },
    stop: () => db.destroy(),
  }
}
