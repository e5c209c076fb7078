import type { Logger } from '@cashflow/runtime'
import { Kysely, type PostgresPool } from 'kysely'
import type { Tables } from '../tables.ts'
import { DatabaseSettingError, type ReadOnlyError } from './errors.ts'
import { createHostPool } from './host-pool.ts'
import { HostSession, type HostSessionConfig } from './host-session.ts'
import { createHostWatch, type HostWatch } from './host-watch.ts'
import { createHosts, type Host } from './hosts.ts'
import { OneTripDialect } from './one-trip-driver.ts'
import type { Session } from './session.ts'
import { CONNECT_MS, ineffectiveParameters, type SessionOptions, sessionConfig } from './session-config.ts'
import { createTimelines } from './timelines.ts'

export interface DatabaseOptions extends SessionOptions {
  poolMax: number
  logger: Logger
}

const REFUSALS_EVERY_MS = 10_000
/** The start of a session, where there is another host to try. */
const ATTEMPT_MS = 1_000

/** A pool of sessions with the primary, and sessions outside of it that find the primary in the same way. */
export class Database extends Kysely<Tables> {
  /** Opens a session for LISTEN, with all that those in the pool have. It is the caller's to end. */
  readonly openSession: (applicationName: string) => Promise<Session>

  constructor(pool: () => Promise<PostgresPool>, openSession: Database['openSession']) {
    super({ dialect: new OneTripDialect({ pool }) })
    this.openSession = openSession
  }
}

/** A pool whose sessions all have a limit for each way of waiting. It is opened when first used. */
export function createDatabase(options: DatabaseOptions): Database {
  let servers: Servers | undefined
  const open = async () => {
    servers ??= openServers(options)
    return servers
  }
  return new Database(
    async () => (await open()).pool,
    async (name) => (await open()).openSession(name),
  )
}

interface Servers {
  pool: PostgresPool
  openSession: Database['openSession']
}

/** @throws DatabaseSettingError when the URL cannot be used */
function openServers(options: DatabaseOptions): Servers {
  const { logger, url, poolMax, applicationName } = options
  const hosts = createHosts(url, logger)
  const timelines = createTimelines(logger)
  const refusals = createRefusals(logger)
  const isOne = hosts.all.length === 1
  const configOf = (host: Host, name = applicationName): HostSessionConfig => ({
    ...sessionConfig({ ...options, url: host.url, applicationName: name }),
    timelines,
    startMs: isOne ? CONNECT_MS : ATTEMPT_MS,
    onRefused: (reason) => {
      // Among several hosts standbys are no news.
      if (isOne || reason instanceof DatabaseSettingError) refusals.report(reason, host)
    },
    onOverdue: () => hosts.demote(host),
  })
  const pool = createHostPool({
    hosts,
    configOf,
    poolMax,
    logger,
    onFirst: (session) => {
      refusals.begin()
      warnOfNoEffect(logger, url, session)
    },
  })
  const openSession = (name: string) =>
    hosts.reach(
      (host) => new HostSession(configOf(host, name)).connect(),
      (late) => void late.end(),
    )
  if (isOne) return { pool, openSession }
  const watch = createHostWatch({
    hosts: hosts.all,
    timelines,
    logger,
    configOf: (host) => configOf(host, `${applicationName}-watch`),
  })
  return { pool: watched(pool, watch), openSession }
}

function watched(pool: PostgresPool, watch: HostWatch): PostgresPool {
  return {
    options: pool.options,
    async connect() {
      await watch.start()
      return await pool.connect()
    },
    async end() {
      await watch.stop()
      await pool.end()
    },
  }
}

/** Logs why sessions are refused, at most every 10 seconds. Before the first session it says nothing: the start fails. */
function createRefusals(logger: Logger) {
  let nextAt = Number.POSITIVE_INFINITY
  return {
    begin() {
      nextAt = 0
    },
    report(reason: ReadOnlyError | DatabaseSettingError, host: Host) {
      if (performance.now() < nextAt) return
      nextAt = performance.now() + REFUSALS_EVERY_MS
      logger[reason instanceof DatabaseSettingError ? 'error' : 'warn']('database session refused', {
        host: host.name,
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
