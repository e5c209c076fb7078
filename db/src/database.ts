import type { Logger } from '@cashflow/runtime'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { DatabaseSettingError, type ReadOnlyError } from './errors.ts'
import { Session } from './session.ts'
import { ineffectiveParameters, type SessionConfig, type SessionOptions, sessionConfig } from './session-config.ts'
import type { Tables } from './tables.ts'
import { refuseTransactionPooler } from './transaction-pooler.ts'

export interface DatabaseOptions extends SessionOptions {
  poolMax: number
  logger: Logger
}

const CONNECTION_LIFETIME_S = 1_800
const REFUSALS_EVERY_MS = 10_000

/** A pool whose sessions all have a limit for each way of waiting. It is opened when first used. */
export function createDatabase(options: DatabaseOptions): Kysely<Tables> {
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool: () => openPool(options) }) })
}

/** @throws DatabaseSettingError, or what keeps sessions from being opened: the next use tries again */
async function openPool(options: DatabaseOptions): Promise<pg.Pool> {
  const { logger, url, poolMax } = options
  const refusals = createRefusals(logger)
  const config: SessionConfig = { ...sessionConfig(options), onRefused: refusals.report }
  await refuseTransactionPooler(config)
  const pool = new pg.Pool({ ...config, Client: Session, max: poolMax, maxLifetimeSeconds: CONNECTION_LIFETIME_S })
  const report = (error: Error) => logger.warn('database connection lost', { error })
  pool.on('error', report)
  // Without a listener of its own a checked-out client that the server ends would end the process.
  pool.on('connect', (client) => client.on('error', report))
  pool.once('connect', (client) => {
    refusals.begin()
    warnOfNoEffect(logger, url, client as Session)
  })
  return pool
}

/** A session outside the pool, for LISTEN, with the same limits and checks. The caller connects it. */
export function createSession(options: SessionOptions): Session {
  return new Session(sessionConfig(options))
}

/** Logs why sessions are refused, at most every 10 seconds. Before the first session it says nothing: the start fails. */
function createRefusals(logger: Logger) {
  let nextAt = Number.POSITIVE_INFINITY
  return {
    begin() {
      nextAt = 0
    },
    report(reason: ReadOnlyError | DatabaseSettingError) {
      if (performance.now() < nextAt) return
      nextAt = performance.now() + REFUSALS_EVERY_MS
      logger[reason instanceof DatabaseSettingError ? 'error' : 'warn']('database session refused', {
        reason: reason.message,
        code: reason.code,
      })
    },
  }
}

/** Tells the operator once, when the first session is there, what has no effect. */
function warnOfNoEffect(logger: Logger, url: string, { found }: Session): void {
  const parameters = ineffectiveParameters(url)
  if (parameters.length > 0)
    logger.warn('parameters of DATABASE_URL have no effect, each session sets them itself', { parameters })
  if (found?.ends_unread) return
  logger.warn('a relay that freezes while it receives keeps its lanes: tcp_user_timeout has no effect', {
    reason: found?.by_tcp ? 'the server has no such limit' : 'PostgreSQL is reached by a Unix socket',
    promise: 11,
  })
}
