import { databaseEnv, loggingEnv, sandboxEnv } from '@cashflow/runtime'
import * as z from 'zod'

/** The settings of `npm run migrate`. */
export const migrateEnv = z.object({ ...databaseEnv, ...sandboxEnv, ...loggingEnv })
