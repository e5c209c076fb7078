import { createDatabase, type Database, ensureSchema } from '@cashflow/db'
import { readClock, readServer } from '@cashflow/db/operator'
import { ageText, createLogger, hostUrls, redact } from '@cashflow/runtime'
import { sql } from 'kysely'
import { explainFailure, openOperatorDatabase } from '../run-command.ts'
import type { OperatorSettings } from '../settings.ts'
import { databaseTlsLines } from './database-tls.ts'
import { findingLines, type Paused } from './findings.ts'
import { type Line, lineOf, ok, wrong } from './line.ts'
import { processLines } from './processes.ts'
import { webhookLines } from './webhooks.ts'

/** Difference of clocks that is not ok, in milliseconds. */
const CLOCK_MS = 2_000

/** Checks PostgreSQL and what its tables say. If it cannot be reached, only its certificates are checked as well. */
export async function databaseLines(settings: OperatorSettings): Promise<{ lines: Line[]; paused: Paused }> {
  const db = openAnyMode(settings.url)
  try {
    const hosts = await hostLines(settings.url)
    const connection = await lineOf('PostgreSQL', async () => {
      const { version } = await readServer(db)
      return ok('PostgreSQL', `version ${version}; each session sets and verifies what the code relies on`)
    })
    const tls = await databaseTlsLines(settings.url, connection.ok ? db : undefined)
    if (!connection.ok) return { lines: [connection, ...hosts, ...tls], paused: new Map() }
    const lines = [
      connection,
      ...hosts,
      ...tls,
      await lineOf('schema', async () => {
        await ensureSchema(db)
        return ok('schema', 'as new as this version needs')
      }),
      await lineOf('sandbox or live', () => modeLine(settings)),
      await lineOf('durability', () => durabilityLine(db)),
      await lineOf('standby', () => standbyLine(db, settings)),
      await lineOf('clock of PostgreSQL', () => clockLine(db)),
      ...(await processLines(db)),
      ...(await webhookLines(db, settings)),
    ]
    const { lines: found, paused } = await findingLines(db)
    return { lines: [...lines, ...found], paused }
  } finally {
    await db.destroy()
  }
}

/** Opens one session, which works with a sandbox and with a live database. */
function openAnyMode(url: string): Database {
  const logger = createLogger({ service: 'operator', level: 'error' })
  return createDatabase({ url, applicationName: 'cashflow-operator', poolMax: 1, logger })
}

/** One line for each of several hosts. */
async function hostLines(url: string): Promise<Line[]> {
  const urls = hostUrls(url)
  if (urls.length === 1) return []
  const lines: Line[] = []
  for (const hostUrl of urls) {
    const check = `host ${redact(hostUrl)}`
    const db = openAnyMode(hostUrl)
    try {
      await sql`select 1`.execute(db)
      lines.push(ok(check, 'takes writes'))
    } catch (error) {
      const isStandby = error instanceof Error && /standby|read.only/i.test(error.message)
      lines.push(isStandby ? ok(check, explainFailure(error)) : wrong(check, explainFailure(error)))
    } finally {
      await db.destroy()
    }
  }
  return lines
}

async function modeLine(settings: OperatorSettings): Promise<Line> {
  const db = openOperatorDatabase({ ...settings, standbyRequired: false })
  try {
    await sql`select 1`.execute(db)
    return ok('sandbox or live', settings.sandbox ? 'a sandbox, as SANDBOX says' : 'live, as SANDBOX says')
  } finally {
    await db.destroy()
  }
}

async function durabilityLine(db: Database): Promise<Line> {
  const { settings } = await readServer(db)
  const off = (['fsync', 'full_page_writes'] as const).filter((name) => settings[name] !== 'on')
  const found = `synchronous_commit ${settings.synchronous_commit}, fsync ${settings.fsync}, full_page_writes ${settings.full_page_writes}`
  if (off.length === 0) return ok('durability', found)
  return wrong(
    'durability',
    `${found}: a crash of the server may lose or damage payments. Set ${off.join(' and ')} to on in postgresql.conf, and reload.`,
  )
}

async function standbyLine(db: Database, { standbyRequired }: OperatorSettings): Promise<Line> {
  const { settings, synchronousStandbys } = await readServer(db)
  const names = settings.synchronous_standby_names
  if (names === '' && standbyRequired)
    return wrong(
      'standby',
      'REQUIRE_STANDBY is yes, and none is synchronous. Set synchronous_standby_names at the server.',
    )
  if (names === '')
    return ok('standby', 'none is synchronous: payments are lost if the disk of this server is, see docs/operations.md')
  if (synchronousStandbys === undefined)
    return wrong('standby', `this role may not see whether one of ${names} is connected. Grant it pg_read_all_stats.`)
  if (synchronousStandbys > 0) return ok('standby', `${synchronousStandbys} synchronous of ${names}`)
  return wrong(
    'standby',
    `no standby of ${names} is connected, so each COMMIT waits. Start one, or correct synchronous_standby_names.`,
  )
}

async function clockLine(db: Database): Promise<Line> {
  const { offsetMs, errorMs } = await readClock(db)
  const found = `${ageText(Math.abs(offsetMs))} ${offsetMs < 0 ? 'behind' : 'ahead of'} this machine's, ±${ageText(errorMs)}`
  if (Math.abs(offsetMs) - errorMs <= CLOCK_MS) return ok('clock of PostgreSQL', found)
  return wrong('clock of PostgreSQL', `${found}. Synchronise both machines, such as with chrony.`)
}
