import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { PostgresHome } from './postgres-home.ts'

export const POSTGRES_LOGIN = { user: 'postgres', password: 'postgres' }

/** Nothing of the user's PG* variables and locale reaches the server. */
export const POSTGRES_ENV = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }

export function dataFolder(home: PostgresHome): string {
  return join(home.files, 'data')
}

/** initdb, unless it was done. Made beside its place and renamed, so that an interrupted one leaves no half of it. */
export async function createCluster(
  home: PostgresHome,
  { log, signal }: { log?: (line: string) => void; signal?: AbortSignal },
): Promise<void> {
  if (existsSync(dataFolder(home))) return
  log?.('creating a PostgreSQL data directory')
  const work = join(home.files, `new-${randomUUID()}`)
  const passwordFile = join(work, 'password')
  mkdirSync(work, { mode: 0o700 })
  writeFileSync(passwordFile, POSTGRES_LOGIN.password, { mode: 0o600 })
  if (home.user) for (const path of [passwordFile, work]) chownSync(path, home.user.uid, home.user.gid)
  try {
    await promisify(execFile)(
      join(home.programs, 'bin/initdb'),
      [
        ...['--pgdata', join(work, 'data'), '--username', POSTGRES_LOGIN.user, '--pwfile', passwordFile],
        ...['--auth', 'scram-sha-256', '--encoding', 'UTF8'],
        // Sorts and compares alike on every machine, whatever locales it has.
        ...['--locale', 'C', '--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8'],
      ],
      { env: POSTGRES_ENV, cwd: work, ...home.user, ...(signal && { signal }) },
    )
    renameSync(join(work, 'data'), dataFolder(home))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/**
 * After a kill -9, postmaster.pid names a process that is gone, which PostgreSQL sees by itself, or another program that
 * has its pid now, at which it would refuse to start. Only the latter file is removed: it also leads PostgreSQL to the
 * shared memory that a killed server's last processes may still use.
 */
export function forgetForeignPid(home: PostgresHome): void {
  const file = join(dataFolder(home), 'postmaster.pid')
  if (!existsSync(file)) return
  const command = commandOf(Number(readFileSync(file, 'utf8').split('\n')[0]))
  if (command !== undefined && !command.includes(dataFolder(home))) rmSync(file, { force: true })
}

/** A process's arguments, where there is such a process and the system tells (Linux). */
function commandOf(pid: number): string[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return undefined
  }
}
