import type { Logger } from '@cashflow/runtime'
import { Kysely, type PostgresPool } from 'kysely'
import type { Tables } from '../tables.ts'
import { DatabaseSettingError, type ReadOnlyError } from './errors.ts'
import { createHostPool, type PoolCounts } from './host-pool.ts'
import { HostSession, type HostSessionConfig } from './host-session.ts'
import { createHostWatch, type HostWatch } from './host-watch.ts'
import { createHosts, type Host } from './hosts.ts'
import { OneTripDialect } from './one-trip-driver.ts'
import type { Session } from './session.ts'
import {
  CONNECT_MS,
  createSharedLookup,
  ineffectiveParameters,
  type SessionOptions,
  sessionConfig,
} from './session-config.ts'
import { createTimelines } from './timelines.ts'
import { createTls } from './tls.ts'

export interface DatabaseOptions extends SessionOptions {
  poolMax: number
  logger: Logger
}

const UNVERIFIED =
  'connections to PostgreSQL are encrypted, but its certificate is not verified: set DB_SSLMODE=verify-full'
const REFUSALS_EVERY_MS = 10_000
/** The limit of a session's start if there is another host to try. */
const ATTEMPT_MS = 1_000

/** A pool of sessions with the primary, and a way to open sessions outside of the pool. */
export class Database extends Kysely<Tables> {
  /** Opens a session with the primary for LISTEN, with the settings of those in the pool. The caller has to end it. */
  readonly openSession: (applicationName: string) => Promise<Session>

  readonly #counts: () => PoolCounts

  constructor(pool: () => Promise<PostgresPool>, openSession: Database['openSession'], counts: () => PoolCounts) {
    super({ dialect: new OneTripDialect(pool) })
    this.openSession = openSession
    this.#counts = counts
  }

  /** The pool's sessions at present. */
  get sessions(): PoolCounts {
    return this.#counts()
  }
}

/** Creates a pool whose sessions have a limit for each way of waiting. It is opened when it is first used. */
export function createDatabase(options: DatabaseOptions): Database {
  let servers: ReturnType<typeof openServers> | undefined
  const open = async () => {
    servers ??= openServers(options)
    return servers
  }
  return new Database(
    async () => (await open()).pool,
    async (name) => (await open()).openSession(name),
    () => servers?.counts() ?? { inUse: 0, idle: 0, waiting: 0 },
  )
}

/** @throws DatabaseSettingError when the URL cannot be used */
function openServers(options: DatabaseOptions) {
  const { logger, url, poolMax, applicationName } = options
  const hosts = createHosts(url, logger)
  const tls = createTls(hosts.tls, logger)
  const timelines = createTimelines(logger)
  const refusals = createRefusals(logger)
  const lookup = createSharedLookup()
  const isOne = hosts.all.length === 1
  const configOf = (host: Host, name = applicationName): HostSessionConfig => ({
    ...sessionConfig({ ...options, url: host.url, applicationName: name }, lookup),
    ...tls(host),
    timelines,
    startMs: isOne ? CONNECT_MS : ATTEMPT_MS,
    onRefused: (reason) => {
      // One of several hosts may well be a standby.
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
      warnOfIneffectiveSettings(logger, url, session)
      if (hosts.tls?.mode === 'require' && hosts.all.some((host) => tls(host).tls))
        logger.warn(UNVERIFIED, { sslmode: 'require' })
    },
  })
  const openSession = (name: string) =>
    hosts.reach(
      async (host) => await new HostSession(configOf(host, name)).connect(),
      (late) => void late.end(),
    )
  const { counts } = pool
  if (isOne) return { pool, openSession, counts }
  const watch = createHostWatch({
    hosts: hosts.all,
    timelines,
    logger,
    configOf: (host) => configOf(host, `${applicationName}-watch`),
  })
  return { pool: watched(pool, watch), openSession, counts }
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

/** Logs why sessions are refused, at most every 10 seconds. Until the first session the caller reports it: the start fails. */
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

/** Warns the operator, once the first session is open, of settings that have no effect. */
function warnOfIneffectiveSettings(logger: Logger, url: string, { found }: Session): void {
  const parameters = ineffectiveParameters(url)
  if (parameters.length > 0)
    logger.warn('parameters of DATABASE_URL have no effect, each session sets them itself', { parameters })
  if (found?.ends_unread) return
  logger.warn('tcp_user_timeout has no effect, so a relay that freezes while it receives keeps its lanes', {
    reason: found?.by_tcp ? 'the server has no such limit' : 'PostgreSQL is reached by a Unix socket',
    promise: 11,
  })
}
