import { databaseEnv, loggingEnv } from '@cashflow/runtime'
import * as z from 'zod'

/** The settings of the migration runner. */
export const migrateEnv = z.object({ ...databaseEnv, ...loggingEnv })
