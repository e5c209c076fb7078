import { type Component, type Logger, waitFor } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import { RestoredEventsError } from '../events/restored.ts'
import { ensureSchema, SchemaError } from '../migrate/schema.ts'
import type { Tables } from '../tables.ts'
import { DatabaseSettingError, refusedSettings } from './errors.ts'

/** The pool as a component of a process. It has started when PostgreSQL answers and the schema is new enough. Stop closes the pool. */
export function databaseComponent(db: Kysely<Tables>, logger: Logger): Component {
  return {
    name: 'database',
    async start(signal) {
      const isHopeless = (error: unknown) =>
        [SchemaError, RestoredEventsError, DatabaseSettingError].some((kind) => error instanceof kind)
      await waitFor('PostgreSQL', () => ensureSchema(db), { logger, signal, isHopeless, settingsOf: refusedSettings })
    },
    stop: () => db.destroy(),
  }
}
