#!/usr/bin/env -S node --enable-source-maps
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  createLogger,
  databaseUrl,
  failureFields,
  loadConfig,
  parseEnv,
  redactedErrorMessage,
  waitFor,
} from '@cashflow/runtime'
import { migrateEnv } from './config.ts'
import { migrate } from './migrate/migrate.ts'
import { createDatabase } from './postgres/database.ts'
import { DatabaseSettingError, isTransient, refusedSettings } from './postgres/errors.ts'

const FOLDER = join(import.meta.dirname, '..', 'migrations')
const USAGE = `npm run migrate                              creates or updates the tables
npm run migrate -- --set-aside-duplicates    also makes duplicate rows unique first; no row is deleted`

const { 'set-aside-duplicates': setAsideDuplicates } = readArguments()
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
  const options = { folder: FOLDER, logger, setAsideDuplicates, signal: stopping.signal }
  const { applied, left } = await waitFor('PostgreSQL', () => migrate(db, options), {
    logger,
    signal: stopping.signal,
    isHopeless: (error) => error instanceof DatabaseSettingError || !isTransient(error),
  })
  logger.info(applied.length > 0 ? 'schema migrated' : 'schema is up to date', { applied })
  for (const { migration, services } of left)
    logger.warn(
      'migration left for later: services of an earlier version are connected. Stop them, then run migrate again',
      { migration, services },
    )
} catch (error) {
  const settings = refusedSettings(error)
  if (!stopping.signal.aborted)
    logger.error('migration failed', { ...failureFields(error), ...(settings && { settings }) })
  process.exitCode = 1
} finally {
  await db.destroy()
}

function readArguments() {
  try {
    return parseArgs({ options: { 'set-aside-duplicates': { type: 'boolean', default: false } } }).values
  } catch (error) {
    process.stderr.write(`${redactedErrorMessage(error)}\n\n${USAGE}\n`)
    process.exit(2)
  }
}
