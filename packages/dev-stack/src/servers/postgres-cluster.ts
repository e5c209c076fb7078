import { execFile } from 'node:child_process'
import { chownSync, existsSync, mkdtempDisposableSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { readIfThere } from '../files.ts'
import { dataFolder, type PostgresHome } from './postgres-home.ts'

export const POSTGRES_LOGIN = { user: 'postgres', password: 'postgres' }

/** The server's whole environment: it gets neither the user's PG* variables nor the user's locale. */
export const POSTGRES_ENV = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }

/**
 * Runs initdb, unless the data directory exists. The directory is created under another name and then renamed, so that
 * an interrupted run leaves no incomplete one.
 */
export async function createCluster(
  home: PostgresHome,
  { log, signal }: { log?: (line: string) => void; signal?: AbortSignal },
): Promise<void> {
  if (existsSync(dataFolder(home))) return
  log?.('creating a PostgreSQL data directory')
  using folder = mkdtempDisposableSync(join(home.files, 'new-'))
  const { path: work } = folder
  const passwordFile = join(work, 'password')
  writeFileSync(passwordFile, POSTGRES_LOGIN.password, { mode: 0o600 })
  if (home.user) for (const path of [passwordFile, work]) chownSync(path, home.user.uid, home.user.gid)
  await promisify(execFile)(
    join(home.programs, 'bin/initdb'),
    [
      ...['--pgdata', join(work, 'data'), '--username', POSTGRES_LOGIN.user, '--pwfile', passwordFile],
      ...['--auth', 'scram-sha-256', '--encoding', 'UTF8'],
      // This locale sorts and compares alike on every machine, regardless of its installed locales.
      ...['--locale', 'C', '--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8'],
    ],
    { env: POSTGRES_ENV, cwd: work, ...home.user, ...(signal && { signal }) },
  )
  renameSync(join(work, 'data'), dataFolder(home))
}

/**
 * Removes a postmaster.pid whose process is another program. PostgreSQL would refuse to start with it. A postmaster.pid
 * whose process has ended stays: PostgreSQL recognises it, and finds by it the shared memory that the last processes of
 * a killed server may still use.
 */
export function removeForeignPidFile(home: PostgresHome): void {
  const file = join(dataFolder(home), 'postmaster.pid')
  const command = commandOf(Number(readIfThere(file)?.split('\n')[0]))
  if (command !== undefined && !command.includes(dataFolder(home))) rmSync(file, { force: true })
}

/** A process's arguments. Undefined if it does not exist, and on systems without /proc. */
function commandOf(pid: number): string[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return undefined
  }
}
