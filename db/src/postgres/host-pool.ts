import { defined } from '@cashflow/async'
import type { Logger } from '@cashflow/runtime'
import type { PostgresPool } from 'kysely'
import pg from 'pg'
import { HostSession, type HostSessionConfig } from './host-session.ts'
import type { Host, Hosts } from './hosts.ts'
import { refuseTransactionPooler } from './transaction-pooler.ts'

/** Numbers of a pool's sessions, and of the callers that wait for one. */
export interface PoolCounts {
  readonly inUse: number
  readonly idle: number
  readonly waiting: number
}

export interface HostPoolOptions {
  hosts: Hosts
  configOf: (host: Host) => HostSessionConfig
  poolMax: number
  /** Called with the first session. */
  onFirst: (session: HostSession) => void
  logger: Logger
}

const CONNECTION_LIFETIME_S = 1_800

/**
 * Creates a pool of sessions with the host that is the primary. Each host has a pool, and only the primary's one gets
 * sessions. An idle session is used at once. If there is none, the hosts are tried in their order.
 */
export function createHostPool({
  hosts,
  configOf,
  poolMax,
  onFirst,
  logger,
}: HostPoolOptions): PostgresPool & { counts(): PoolCounts } {
  const pools = new Map(hosts.all.map((host) => [host, createPool(host)]))
  const inUse = new Map<pg.Pool, number>()
  const checks = new Map<Host, Promise<void>>()
  let isFirst = true

  function createPool(host: Host): pg.Pool {
    const config = configOf(host)
    const pool = new pg.Pool({
      ...config,
      Client: class extends HostSession {
        constructor() {
          super(config)
        }
      },
      max: poolMax,
      maxLifetimeSeconds: CONNECTION_LIFETIME_S,
    })
    pool.on('error', () => {}) // The listener on the session logs it.
    pool.on('acquire', () => inUse.set(pool, usedOf(pool) + 1))
    pool.on('release', () => inUse.set(pool, usedOf(pool) - 1))
    pool.on('connect', (client) => {
      // Without this listener, the server could end the process by ending a session that is in use.
      client.on('error', (error) => logger.warn('database connection lost', { host: host.name, error }))
      if (!isFirst) return
      isFirst = false
      onFirst(client as unknown as HostSession)
    })
    return pool
  }

  const poolOf = (host: Host) => defined(pools.get(host), `pool of ${host.name}`)
  const usedOf = (pool: pg.Pool) => inUse.get(pool) ?? 0
  // Sessions that are being opened do not count. Otherwise callers would wait for a silent host, and try no other.
  const isFull = (pool: pg.Pool) => usedOf(pool) >= poolMax

  /** Checks each host once. Hosts may be behind different poolers. */
  function check(host: Host): Promise<void> {
    const begun = checks.get(host) ?? refuseTransactionPooler(configOf(host), configOf(host).startMs)
    checks.set(host, begun)
    begun.catch(() => checks.delete(host))
    return begun
  }

  async function attempt(host: Host): Promise<pg.PoolClient> {
    await check(host)
    return await poolOf(host).connect()
  }

  return {
    counts() {
      const sum = (count: (pool: pg.Pool) => number) =>
        [...pools.values()].reduce((total, pool) => total + count(pool), 0)
      return { inUse: sum(usedOf), idle: sum((pool) => pool.idleCount), waiting: sum((pool) => pool.waitingCount) }
    },
    options: {},
    async connect() {
      const first = poolOf(hosts.first)
      if (first.idleCount > 0 || isFull(first)) {
        try {
          return await first.connect()
        } catch (error) {
          if (isFull(first)) throw error // No session was released in time.
        }
      }
      return await hosts.reach(attempt, (late) => late.release(true))
    },
    async end() {
      await Promise.all([...pools.values()].map((pool) => pool.end()))
    },
  }
}
