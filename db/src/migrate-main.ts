#!/usr/bin/env -S node --enable-source-maps
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  createLogger,
  databaseUrl,
  failureFields,
  isSandbox,
  loadConfig,
  parseEnv,
  redactedErrorMessage,
  waitFor,
} from '@cashflow/runtime'
import { migrateEnv } from './config.ts'
import type { WantedMode } from './migrate/deployment.ts'
import { migrate } from './migrate/migrate.ts'
import { type Mode, modeOf } from './mode.ts'
import { createDatabase } from './postgres/database.ts'
import { DatabaseSettingError, isTransient, refusedSettings } from './postgres/errors.ts'

const FOLDER = join(import.meta.dirname, '..', 'migrations')
const USAGE = `npm run migrate                              creates or updates the tables
npm run migrate -- --set-aside-duplicates    also makes duplicate rows unique first; no row is deleted
npm run migrate -- --mode sandbox|live       also changes what the database is, if every payment is settled and all services are stopped`

const { mode, setAsideDuplicates } = readArguments()
const config = loadConfig((env) => {
  const settings = parseEnv(migrateEnv, env)
  return { ...settings, url: databaseUrl(settings), mode: modeOf(isSandbox(settings, env)) }
})
const logger = createLogger({ service: 'migrate', level: config.LOG_LEVEL })
const db = createDatabase({
  url: config.url,
  applicationName: 'cashflow-migrate',
  poolMax: 2,
  statementMs: 0,
  logger,
})
const stopping = new AbortController()
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stopping.abort())

try {
  const options = { folder: FOLDER, logger, wanted: wantedMode(), setAsideDuplicates, signal: stopping.signal }
  const { applied, left } = await waitFor('PostgreSQL', () => migrate(db, options), {
    logger,
    signal: stopping.signal,
    isHopeless: (error) => error instanceof DatabaseSettingError || !isTransient(error),
    settingsOf: refusedSettings,
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

function wantedMode(): WantedMode {
  if (mode !== undefined) return { mode, from: '--mode' }
  return { mode: config.mode, from: config.SANDBOX === undefined ? 'default' : 'SANDBOX' }
}

function readArguments(): { mode: Mode | undefined; setAsideDuplicates: boolean } {
  try {
    const { mode, 'set-aside-duplicates': setAsideDuplicates } = parseArgs({
      options: { mode: { type: 'string' }, 'set-aside-duplicates': { type: 'boolean', default: false } },
    }).values
    if (mode === undefined || mode === 'sandbox' || mode === 'live') return { mode, setAsideDuplicates }
    throw new Error('--mode must be sandbox or live')
  } catch (error) {
    process.stderr.write(`${redactedErrorMessage(error)}\n\n${USAGE}\n`)
    process.exit(2)
  }
}
