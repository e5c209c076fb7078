import type { Logger } from '@cashflow/runtime'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { Session } from './session.ts'
import type { Tables } from './tables.ts'

export interface DatabaseOptions {
  url: string
  /** Shown in pg_stat_activity. */
  applicationName: string
  poolMax: number
  logger: Logger
  /** After how long the server ends a session that idles in a transaction. */
  idleInTransactionMs?: number
  /** How long one statement may run; 0 is for ever, as migrations need it. */
  statementMs?: number
}

const CONNECT_MS = 5_000
const STATEMENT_MS = 5_000
// Not deadlock_timeout's 1 s: a deadlock is then found as one, and not as a lock that takes long.
const LOCK_MS = 2_000
// On top of the server's own limit: for the server that never answers.
const ANSWER_MARGIN_MS = 3_000
// A client that stopped reading while the server sends to it is freed by nothing else.
const UNREAD_MS = 6_000
const CONNECTION_LIFETIME_S = 1_800
// Every statement finds its rows by the keys of an index, so one plan fits all its parameters and is kept; and what was
// planned while a table was small must not scan it when it is large. For the same reason joins name the keys they look
// for, and a limit is met by the order of an index, not by a bitmap of all that a few rows once were.
const PLANS_BY_KEY = [
  '-c plan_cache_mode=force_generic_plan',
  ...['seqscan', 'bitmapscan', 'hashjoin', 'mergejoin'].map((way) => `-c enable_${way}=off`),
].join(' ')

/** A pool whose sessions all have a limit for each way of waiting. It connects when first used. */
export function createDatabase(options: DatabaseOptions): Kysely<Tables> {
  const pool = new pg.Pool({
    ...sessionSettings(options),
    Client: Session,
    max: options.poolMax,
    maxLifetimeSeconds: CONNECTION_LIFETIME_S,
  })
  const report = (error: Error) => options.logger.warn('database connection lost', { error })
  pool.on('error', report)
  // Without a listener of its own a checked-out client that the server ends would end the process.
  pool.on('connect', (client) => client.on('error', report))
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
}

/** What a session outside the pool shares with those in it. */
export function sessionSettings(options: Omit<DatabaseOptions, 'poolMax' | 'logger'>) {
  const { url, applicationName, idleInTransactionMs = 10_000, statementMs = STATEMENT_MS } = options
  return {
    connectionString: url,
    application_name: applicationName,
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    statement_timeout: statementMs,
    query_timeout: statementMs > 0 ? statementMs + ANSWER_MARGIN_MS : 0,
    lock_timeout: LOCK_MS,
    idle_in_transaction_session_timeout: idleInTransactionMs,
    options: `-c tcp_user_timeout=${UNREAD_MS} ${PLANS_BY_KEY}`,
  } satisfies pg.ClientConfig
}
