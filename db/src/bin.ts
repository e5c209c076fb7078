#!/usr/bin/env -S node --enable-source-maps
import { createLogger, databaseUrl, explain, loadConfig, parseEnv, waitFor } from '@cashflow/runtime'
import { migrateEnv } from './config.ts'
import { createDatabase } from './database.ts'
import { isTransient } from './errors.ts'
import { migrate } from './migrate.ts'

const config = loadConfig((env) => parseEnv(migrateEnv, env))
const logger = createLogger({ service: 'migrate', level: config.LOG_LEVEL })
const db = createDatabase({
  url: databaseUrl(config),
  applicationName: 'cashflow-migrate',
  poolMax: 2,
  statementMs: 0,
  logger,
})
const stopping = new AbortController()
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stopping.abort())

try {
  const applied = await waitFor('PostgreSQL', () => migrate(db), {
    logger,
    signal: stopping.signal,
    isHopeless: (error) => !isTransient(error),
  })
  logger.info(applied.length > 0 ? 'schema migrated' : 'schema is up to date', { applied })
} catch (error) {
  if (!stopping.signal.aborted) logger.error('migration failed', explain(error))
  process.exitCode = 1
} finally {
  await db.destroy()
}
