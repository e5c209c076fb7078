import { execFileSync } from 'node:child_process'
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '@cashflow/async'
import { claimFiles, dataFolder, openClient, postgresHome, query } from '@cashflow/dev-stack'
import { mountSmallDisk, startPostgresOnDisk } from './postgres-disk.ts'
import { startTcpProxy } from './tcp-proxy/tcp-proxy.ts'

/** Files that are not copied: a running server has its own (PostgreSQL's manual, 25.3.4). */
const FILES_LEFT = new Set(['postmaster.pid', 'postmaster.opts', 'postgresql.auto.conf'])
/** Folders whose content is not copied: the standby creates its own. */
const FOLDERS_EMPTIED = new Set([
  'pg_wal',
  'pg_replslot',
  'pg_dynshmem',
  'pg_notify',
  'pg_serial',
  'pg_snapshots',
  'pg_stat_tmp',
  'pg_subtrans',
])

interface StandbyOptions {
  /** The running primary's URL and `dir`. */
  primary: { url: string; dir: string }
  dir: string
  /** The standby's application_name, and its replication slot, by which the primary keeps WAL until the standby has it. */
  name: string
  settings?: Record<string, string> | undefined
  /** Puts the standby's data on a disk of this size, where one can be mounted. */
  diskMb?: number | undefined
}

export type Standby = Awaited<ReturnType<typeof startStandby>>

/** Copies the data of a primary, which may be under writes, and starts a standby on the copy. */
export async function startStandby({ primary, dir, name, settings, diskMb }: StandbyOptions) {
  if (diskMb !== undefined) mountSmallDisk(dir, diskMb)
  await copyData(primary, dir, name)
  const replication = await startTcpProxy(primary.url)
  const { hostname, port, username, password } = new URL(replication.url)
  const own = {
    primary_conninfo: `host=${hostname} port=${port} user=${username} password=${password} application_name=${name}`,
    primary_slot_name: name,
    // The pause between attempts to reach the primary.
    wal_retrieve_retry_interval: '200ms',
  }
  await using unfinished = new AsyncDisposableStack()
  unfinished.defer(replication.stop)
  const server = await startPostgresOnDisk({ dir, diskMb, settings: { ...settings, ...own } })
  unfinished.move()
  return { dir, server, replication }
}

/** Resolves when each later commit of the primary waits for one of these standbys. */
export async function makeSynchronous(primaryUrl: string, names: readonly string[]): Promise<void> {
  // While a standby is not streaming yet, commits would wait for it.
  await standbysHave(primaryUrl, "state = 'streaming'", { count: names.length })
  await query(primaryUrl, `alter system set synchronous_standby_names = 'ANY 1 (${names.join(', ')})'`)
  await query(primaryUrl, 'select pg_reload_conf()')
  await standbysHave(primaryUrl, "sync_state = 'quorum'", { count: names.length })
  // The checkpointer tells sessions to wait. Before it runs a checkpoint, it reads its settings.
  await query(primaryUrl, 'checkpoint')
}

/** Resolves when `count` standbys meet the condition over pg_stat_replication's columns. */
export async function standbysHave(
  primaryUrl: string,
  condition: string,
  { count = 1, timeoutMs = 60_000 } = {},
): Promise<void> {
  await eventually(
    async () => {
      const rows = await query(primaryUrl, `select 1 from pg_stat_replication where ${condition}`)
      if (rows.length < count) throw new Error(`${rows.length} of ${count} standbys have ${condition}`)
    },
    { timeoutMs },
  )
}

/** Settings that were made with ALTER SYSTEM are not copied. */
async function copyData(primary: StandbyOptions['primary'], dir: string, slot: string): Promise<void> {
  const [source, copy] = [postgresHome(primary.dir), postgresHome(dir)]
  const data = dataFolder(copy)
  claimFiles(copy, false)
  const client = await openClient(primary.url)
  try {
    await client.query('select pg_create_physical_replication_slot($1, true)', [slot])
    await client.query("select pg_backup_start('standby', true)")
    await copyFolder(dataFolder(source), data)
    const { rows } = await client.query('select labelfile from pg_backup_stop(false)')
    await writeFile(join(data, 'backup_label'), rows[0].labelfile, { mode: 0o600 })
    await writeFile(join(data, 'standby.signal'), '', { mode: 0o600 })
  } finally {
    await client.end()
  }
  if (copy.user) execFileSync('chown', ['-R', `${copy.user.uid}:${copy.user.gid}`, data])
}

async function copyFolder(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o700 })
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, copy] = [join(from, entry.name), join(to, entry.name)]
    if (FOLDERS_EMPTIED.has(entry.name)) await mkdir(copy, { mode: 0o700 })
    else if (entry.isDirectory()) await copyFolder(source, copy)
    else if (!FILES_LEFT.has(entry.name)) await copyIfThere(source, copy)
  }
}

/** A file that is removed during the copy, such as a dropped table's, is removed on the standby too, by the WAL. */
async function copyIfThere(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
