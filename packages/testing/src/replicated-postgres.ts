import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { copyForStandby, descendantsOf, type PostgresServer, startPostgres } from '@cashflow/dev-stack'
import pg from 'pg'
import { withDatabase } from './addresses.ts'
import { eventually } from './eventually.ts'
import { createMigrated } from './migrated.ts'
import { startTcpProxy } from './tcp-proxy.ts'

export interface ReplicatedPostgres {
  /** A migrated database; each of its commits waits for the standby. */
  readonly primaryUrl: string
  /** The same on the standby, read-only until that is promoted. */
  readonly standbyUrl: string
  /** From now on the standby gets nothing of what the primary writes. */
  freezeReplication(): void
  /** SIGKILL for each process of the primary, which never comes back. */
  killPrimary(): Promise<void>
  promoteStandby(): Promise<void>
  stop(): Promise<void>
}

const STANDBY = 'standby'

/** A primary with a synchronous standby, for losing the primary. */
export async function startReplicatedPostgres(): Promise<ReplicatedPostgres> {
  const root = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
  const [from, to] = [join(root, 'primary'), join(root, STANDBY)]
  const original = await startPostgres({ dir: from, keep: true })
  await createMigrated(original.url, 'payments')
  await original.stop()
  await copyForStandby({ from, to })
  // On its command line, so that not even the first commit is made without, and the standby does not inherit it.
  const primary = await startPostgres({ dir: from, settings: { synchronous_standby_names: `ANY 1 (${STANDBY})` } })
  const replication = await startTcpProxy(primary.url)
  const standby = await startPostgres({ dir: to, settings: { primary_conninfo: connectionInfo(replication.url) } })
  await attached(primary.url)
  return {
    primaryUrl: withDatabase(primary.url, 'payments'),
    standbyUrl: withDatabase(standby.url, 'payments'),
    freezeReplication: () => replication.freeze(),
    killPrimary: () => killForGood(primary),
    promoteStandby: () => query(standby.url, 'select pg_promote()').then(() => {}),
    async stop() {
      await replication.stop()
      await Promise.all([primary.stop(), standby.stop()])
      await rm(root, { recursive: true, force: true })
    },
  }
}

/** As libpq wants it. */
function connectionInfo(url: string): string {
  const { hostname, port, username, password } = new URL(url)
  return `host=${hostname} port=${port} user=${username} password=${password} application_name=${STANDBY}`
}

async function attached(primaryUrl: string): Promise<void> {
  await eventually(async () => {
    const [row] = await query(primaryUrl, "select 1 from pg_stat_replication where sync_state = 'quorum'")
    if (!row) throw new Error('The standby has not attached')
  })
}

async function killForGood({ pid, exited }: PostgresServer): Promise<void> {
  process.kill(pid, 'SIGSTOP') // It starts no more processes.
  for (const victim of [...descendantsOf(pid), { pid }]) kill(victim.pid)
  await exited
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}
