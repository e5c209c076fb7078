import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defined, eventually } from '@cashflow/async'
import { type PostgresServer, query, startPostgres } from '@cashflow/dev-stack'
import { withDatabase } from './addresses.ts'
import { makeSynchronous, type Standby, startStandby } from './postgres-standby.ts'
import { createMigrated } from './test-database.ts'

export type PostgresTrio = Awaited<ReturnType<typeof startPostgresTrio>>

/** Starts a primary and its two standbys. Each has a migrated database, and each COMMIT waits for one standby. */
export async function startPostgresTrio() {
  await using unfinished = new AsyncDisposableStack()
  const { path: root } = unfinished.use(await mkdtempDisposable(join(tmpdir(), 'cashflow-test-')))
  const dir = join(root, 'server-1')
  const primary = await startPostgres({ dir })
  unfinished.defer(() => primary.stop())
  await createMigrated(primary.url, 'payments')
  const addStandby = async (name: string) => {
    const standby = await startStandby({ primary: { url: primary.url, dir }, dir: join(root, name), name })
    unfinished.defer(() => standby.replication.stop())
    unfinished.defer(() => standby.server.stop())
    return standby
  }
  const standbys = [await addStandby('second'), await addStandby('third')] as const
  await makeSynchronous(primary.url, ['second', 'third'])
  const trio = unfinished.move()
  return { ...trioOf(primary, standbys), stop: () => trio.disposeAsync() }
}

function trioOf(primary: PostgresServer, standbys: readonly [Standby, Standby]) {
  const [second, third] = standbys
  const servers = [primary, second.server, third.server] as const
  const urls = servers.map(({ url }) => withDatabase(url, 'payments')) as [string, string, string]
  return {
    /** The database's URL on each server. At first the primary is the first one. */
    urls,
    /** The same database as one URL with several hosts. */
    url: urlOfHosts(urls),
    /** Begins a planned switchover: the primary runs on, and accepts only reads. */
    async fence() {
      await query(primary.url, 'alter system set default_transaction_read_only = on')
      await query(primary.url, 'select pg_reload_conf()')
    },
    /**
     * Promotes the second server, which has all commits of the first one, and makes the third one its standby. The
     * first server runs on and accepts writes, but no standby confirms its COMMITs.
     */
    async promote() {
      // Each COMMIT of the first server now waits for the second one, until its replication is cut too.
      third.replication.cut()
      const [row] = await query(primary.url, 'select pg_current_wal_flush_lsn() as flushed')
      await hasReplayed(second.server.url, String(defined(row, 'row').flushed))
      second.replication.cut()
      await query(second.server.url, 'select pg_promote()')
      await query(second.server.url, `select pg_create_physical_replication_slot('third', true)`)
      third.replication.redirect(second.server.url)
      third.replication.restore()
    },
    query: (server: number, text: string) => query(defined(urls[server], `server ${server}`), text),
  }
}

/** One URL for the same database on several hosts, in libpq's form. */
export function urlOfHosts(urls: readonly string[]): string {
  const first = defined(urls[0], 'URL')
  return first.replace(new URL(first).host, urls.map((url) => new URL(url).host).join(','))
}

async function hasReplayed(url: string, lsn: string): Promise<void> {
  await eventually(async () => {
    const [row] = await query(url, `select pg_last_wal_replay_lsn() >= '${lsn}' as done`)
    if (!row?.done) throw new Error(`The standby has not replayed ${lsn}`)
  })
}
