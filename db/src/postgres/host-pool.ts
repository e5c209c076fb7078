import type { Logger } from '@cashflow/runtime'
import type { PostgresPool } from 'kysely'
import pg from 'pg'
import { HostSession, type HostSessionConfig } from './host-session.ts'
import type { Host, Hosts } from './hosts.ts'
import { refuseTransactionPooler } from './transaction-pooler.ts'

export interface HostPoolOptions {
  hosts: Hosts
  configOf: (host: Host) => HostSessionConfig
  poolMax: number
  /** Told of the first session. */
  onFirst: (session: HostSession) => void
  logger: Logger
}

const CONNECTION_LIFETIME_S = 1_800

/**
 * The sessions with whichever host is the primary. Each host has a pool of its own, and only that of the primary is
 * filled. An idle session is handed out at once. Where one has to be made, the hosts are tried in their order.
 */
export function createHostPool({ hosts, configOf, poolMax, onFirst, logger }: HostPoolOptions): PostgresPool {
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
          super({ ...config, pipeline: true })
        }
      },
      max: poolMax,
      maxLifetimeSeconds: CONNECTION_LIFETIME_S,
    })
    pool.on('error', () => {}) // The session reports it.
    pool.on('acquire', () => inUse.set(pool, usedOf(pool) + 1))
    pool.on('release', () => inUse.set(pool, usedOf(pool) - 1))
    pool.on('connect', (client) => {
      // Without a listener of its own a checked-out client that the server ends would end the process.
      client.on('error', (error) => logger.warn('database connection lost', { host: host.name, error }))
      if (!isFirst) return
      isFirst = false
      onFirst(client as unknown as HostSession)
    })
    return pool
  }

  const poolOf = (host: Host) => pools.get(host) as pg.Pool
  const usedOf = (pool: pg.Pool) => inUse.get(pool) ?? 0
  // Sessions that are being made do not count. Otherwise a caller that waits for a host without answers tries no other.
  const isFull = (pool: pg.Pool) => usedOf(pool) >= poolMax

  /** Once for each host: other hosts may be behind other poolers. */
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
    options: {},
    async connect() {
      const first = poolOf(hosts.first)
      if (first.idleCount > 0 || isFull(first)) {
        try {
          return await first.connect()
        } catch (error) {
          if (isFull(first)) throw error // It waited in vain for another session to be released.
        }
      }
      return await hosts.reach(attempt, (late) => late.release(true))
    },
    async end() {
      await Promise.all([...pools.values()].map((pool) => pool.end()))
    },
  }
}
