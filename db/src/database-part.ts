import { type Logger, type Part, waitFor } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import { refusedSettings } from './errors.ts'
import { ensureSchema, SchemaError } from './migrate.ts'
import type { Tables } from './tables.ts'

/** The pool as a part of a process: starts once PostgreSQL answers and its schema is new enough; stop closes the pool. */
export function databasePart(db: Kysely<Tables>, logger: Logger): Part {
  return {
    name: 'database',
    async start(signal) {
      const isHopeless = (error: unknown) => error instanceof SchemaError
      await waitFor('PostgreSQL', () => ensureSchema(db), {
        logger,
        signal,
        isHopeless,
        settingsOf: refusedSettings,
      })
    },
    stop: () => db.destroy(),
  }
}
