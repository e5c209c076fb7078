import type { Component, Logger } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import { ensureSchema } from '../migrate/schema.ts'
import type { Tables } from '../tables.ts'
import { readAtStart } from './read-at-start.ts'

const TABLES = 'the tables "cashflow_migration", "merchants" and "payment_events"'

const CLAIMED = 'or write the tables "payments" and "payment_attempts"'

/**
 * The pool as a component of a process. It has started when PostgreSQL answers and the schema is new enough. Stop closes the
 * pool.
 *
 * @param tryClaim a claim of no payment, for which PostgreSQL checks all grants of a claim: a worker without one of them
 *   must not start, because it would reject every message
 */
export function databaseComponent(db: Kysely<Tables>, logger: Logger, tryClaim?: () => Promise<unknown>): Component {
  return {
    name: 'database',
    async start(signal) {
      await readAtStart(TABLES, () => ensureSchema(db), { logger, signal })
      if (tryClaim) await readAtStart(CLAIMED, tryClaim, { logger, signal })
    },
    stop: () => db.destroy(),
  }
}
