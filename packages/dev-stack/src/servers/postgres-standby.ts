import { chownSync, writeFileSync } from 'node:fs'
import { copyFile, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { openClient } from './postgres-client.ts'
import { dataFolder } from './postgres-cluster.ts'
import { type PostgresHome, postgresHome } from './postgres-home.ts'
import { claimFiles } from './postgres-owner.ts'

/** Stays behind: what a running server has for itself, and its standby makes anew (PostgreSQL's manual, 25.3.4). */
const FILES_LEFT = new Set(['postmaster.pid', 'postmaster.opts', 'postgresql.auto.conf'])
const FOLDERS_EMPTIED = new Set([
  ...['pg_wal', 'pg_replslot', 'pg_dynshmem', 'pg_notify', 'pg_serial', 'pg_snapshots', 'pg_stat_tmp', 'pg_subtrans'],
])

export type StandbyCopy = {
  /** The running primary, its `dir`, and the standby's. */
  url: string
  from: string
  to: string
  /** A replication slot to make, by which the primary keeps all log from here on until the standby has it. */
  slot: string
  /** As of `startPostgres()`, for the standby. */
  diskMb?: number
}

/**
 * Copies the data of a running server, under writes. The copy, started with `primary_conninfo` and `primary_slot_name`,
 * is a standby of it. Settings that were made with ALTER SYSTEM stay behind.
 */
export async function copyForStandby({ url, from, to, slot, ...disk }: StandbyCopy): Promise<void> {
  const [source, copy] = [postgresHome(from), postgresHome(to)]
  const data = dataFolder(copy)
  claimFiles(copy, disk)
  const primary = await openClient(url)
  try {
    await primary.query('select pg_create_physical_replication_slot($1, true)', [slot])
    await primary.query("select pg_backup_start('standby', true)")
    await copyFolder(dataFolder(source), data, copy)
    const { rows } = await primary.query('select labelfile from pg_backup_stop(false)')
    writeOwned(join(data, 'backup_label'), rows[0].labelfile, copy)
    writeOwned(join(data, 'standby.signal'), '', copy)
  } finally {
    await primary.end()
  }
}

async function copyFolder(from: string, to: string, home: PostgresHome): Promise<void> {
  await mkdir(to, { mode: 0o700 })
  own(to, home)
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, copy] = [join(from, entry.name), join(to, entry.name)]
    if (FOLDERS_EMPTIED.has(entry.name)) {
      await mkdir(copy, { mode: 0o700 })
      own(copy, home)
    } else if (entry.isDirectory()) {
      await copyFolder(source, copy, home)
    } else if (!FILES_LEFT.has(entry.name)) {
      await copyIfThere(source, copy, home)
    }
  }
}

/** What goes meanwhile, such as a dropped table's file, goes on the standby too, as the log says. */
async function copyIfThere(from: string, to: string, home: PostgresHome): Promise<void> {
  try {
    await copyFile(from, to)
    own(to, home)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

function writeOwned(file: string, content: string, home: PostgresHome): void {
  writeFileSync(file, content, { mode: 0o600 })
  own(file, home)
}

function own(path: string, { user }: PostgresHome): void {
  if (user) chownSync(path, user.uid, user.gid)
}
