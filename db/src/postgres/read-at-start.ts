import { redactedErrorMessage, type WaitOptions, waitFor } from '@cashflow/runtime'
import pg from 'pg'
import { RestoredEventsError } from '../events/restored.ts'
import { SchemaError } from '../migrate/schema.ts'
import { DatabaseSettingError, isAway, isPermanent, mayBeItemsOwn, refusedSettings } from './errors.ts'

/** PostgreSQL answers that it cannot read what a process needs at its start. The message says what to do. */
export class UnreadableTableError extends Error {
  readonly code = 'table_unreadable'

  constructor(tables: string, cause: pg.DatabaseError) {
    const remedy = mayBeItemsOwn(cause)
      ? 'Repair it, or restore it from a backup or a standby'
      : 'Give the role of DATABASE_URL the grants of "Roles and grants" in docs/operations.md'
    super(`PostgreSQL cannot read ${tables}: ${redactedErrorMessage(cause)}. ${remedy}, then start again.`)
  }
}

const HOPELESS = [SchemaError, RestoredEventsError, DatabaseSettingError, UnreadableTableError]

/**
 * Reads what a process needs before it can start. It waits while PostgreSQL is away, busy or refuses the login.
 *
 * @param tables names what `read` reads, such as `the table "pauses"`
 * @throws UnreadableTableError without a grant, or if a row is damaged; the errors of a wrong setting or schema
 */
export function readAtStart<Result>(
  tables: string,
  read: () => Promise<Result>,
  { logger, signal }: Pick<WaitOptions, 'logger' | 'signal'>,
): Promise<Result> {
  const attempt = () =>
    read().catch((error: unknown) => {
      // An error that ended the session is a refused login, such as one without the right to connect.
      const isRefused =
        error instanceof pg.DatabaseError && !isAway(error) && (isPermanent(error) || mayBeItemsOwn(error))
      throw isRefused ? new UnreadableTableError(tables, error) : error
    })
  const isHopeless = (error: unknown) => HOPELESS.some((kind) => error instanceof kind)
  return waitFor('PostgreSQL', attempt, { logger, signal, isHopeless, settingsOf: refusedSettings })
}
