import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { copyForStandby, type PostgresServer, query, startPostgres } from '@cashflow/dev-stack'
import { withDatabase } from './addresses.ts'
import { eventually } from './eventually.ts'
import { createMigrated } from './migrated.ts'
import { startTcpProxy, type TcpProxy } from './tcp-proxy/tcp-proxy.ts'

/** A primary and its two standbys. Each has a migrated database, and each COMMIT waits for one standby. */
export interface PostgresTrio {
  /** The database of each server: at first the primary's, then those of its standbys. */
  readonly urls: readonly [string, string, string]
  /** The same database as one URL with several hosts. */
  readonly url: string
  /** As a planned switchover begins: the primary runs on, and takes reads only. */
  fence(): Promise<void>
  /**
   * Promotes the second server, which has all that the first one has committed, and has the third one follow it. The first
   * runs on and says that it takes writes, but no standby confirms its COMMITs.
   */
  promote(): Promise<void>
  query(server: number, text: string): Promise<Record<string, unknown>[]>
  stop(): Promise<void>
}

type Standby = { server: PostgresServer; replication: TcpProxy; slot: string }

export async function startPostgresTrio(): Promise<PostgresTrio> {
  const root = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
  const stops: (() => Promise<unknown>)[] = [() => rm(root, { recursive: true, force: true })]
  const stop = async () => {
    for (const end of stops.splice(0).toReversed()) await end()
  }
  try {
    const from = join(root, 'server-1')
    const primary = await startPostgres({ dir: from })
    stops.push(() => primary.stop())
    await createMigrated(primary.url, 'payments')
    const standbys = [
      await startStandby({ url: primary.url, from, to: join(root, 'server-2'), slot: 'second' }, stops),
      await startStandby({ url: primary.url, from, to: join(root, 'server-3'), slot: 'third' }, stops),
    ] as const
    await waitForBoth(primary.url)
    return { ...trioOf(primary, standbys), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function trioOf(primary: PostgresServer, standbys: readonly [Standby, Standby]): Omit<PostgresTrio, 'stop'> {
  const [second, third] = standbys
  const servers = [primary, second.server, third.server] as const
  const urls = servers.map(({ url }) => withDatabase(url, 'payments')) as [string, string, string]
  return {
    urls,
    url: urlOfHosts(urls),
    async fence() {
      await query(primary.url, 'alter system set default_transaction_read_only = on')
      await query(primary.url, 'select pg_reload_conf()')
    },
    async promote() {
      // From here on each COMMIT of the first waits for the second, until that is cut off too.
      third.replication.cut()
      const [row] = await query(primary.url, 'select pg_current_wal_flush_lsn() as flushed')
      await hasReplayed(second.server.url, String(row?.flushed))
      second.replication.cut()
      await query(second.server.url, 'select pg_promote()')
      await query(second.server.url, `select pg_create_physical_replication_slot('${third.slot}', true)`)
      third.replication.redirect(second.server.url)
      third.replication.restore()
    },
    query: (server, text) => query(urls[server] ?? '', text),
  }
}

/** One URL for the same database on several hosts, as libpq takes it. */
export function urlOfHosts(urls: readonly string[]): string {
  const [first = ''] = urls
  return first.replace(new URL(first).host, urls.map((url) => new URL(url).host).join(','))
}

async function startStandby(
  { url, from, to, slot }: { url: string; from: string; to: string; slot: string },
  stops: (() => Promise<unknown>)[],
): Promise<Standby> {
  await copyForStandby({ url, from, to, slot })
  const replication = await startTcpProxy(url)
  stops.push(() => replication.stop())
  const { hostname, port, username, password } = new URL(replication.url)
  const login = `user=${username} password=${password} application_name=${slot}`
  const server = await startPostgres({
    dir: to,
    settings: {
      primary_conninfo: `host=${hostname} port=${port} ${login}`,
      primary_slot_name: slot,
      // How long it waits between tries to reach its primary.
      wal_retrieve_retry_interval: '200ms',
    },
  })
  stops.push(() => server.stop())
  return { server, replication, slot }
}

/** Resolves when each commit from now on waits for a standby. */
async function waitForBoth(url: string): Promise<void> {
  await standbysAre(url, "state = 'streaming'") // Else commits would wait for as long as it takes to get there.
  await query(url, "alter system set synchronous_standby_names = 'ANY 1 (second, third)'")
  await query(url, 'select pg_reload_conf()')
  await standbysAre(url, "sync_state = 'quorum'")
  // The checkpointer has sessions wait. It reads its settings before it does what it is asked for.
  await query(url, 'checkpoint')
}

async function standbysAre(url: string, condition: string): Promise<void> {
  await eventually(async () => {
    const rows = await query(url, `select 1 from pg_stat_replication where ${condition}`)
    if (rows.length < 2) throw new Error(`Not both standbys have ${condition}`)
  })
}

async function hasReplayed(url: string, lsn: string): Promise<void> {
  await eventually(async () => {
    const [row] = await query(url, `select pg_last_wal_replay_lsn() >= '${lsn}' as done`)
    if (!row?.done) throw new Error(`The standby has not replayed ${lsn}`)
  })
}
