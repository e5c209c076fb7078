import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isMounted, type PostgresOptions, postgresHome, startPostgres } from '@cashflow/dev-stack'

const CHUNK = Buffer.alloc(1024 * 1024)

/**
 * Starts a server with its data on a small disk of its own, which goes when the server stops.
 *
 * @returns the server; without a disk where none was requested, or where only root on Linux could mount one
 */
export async function startPostgresOnDisk({ diskMb, ...options }: PostgresOptions & { diskMb?: number | undefined }) {
  const smallDisk = diskMb === undefined ? undefined : mountSmallDisk(options.dir, diskMb)
  return { ...(await startPostgres(options)), smallDisk }
}

/** Mounts a tmpfs at the server's folder, unless one is mounted there. It can be filled to its last page. */
export function mountSmallDisk(dir: string, sizeMb: number) {
  const home = postgresHome(dir)
  if (process.platform !== 'linux' || home.user === undefined) return undefined
  mkdirSync(home.files, { recursive: true })
  if (!isMounted(home)) {
    const options = `size=${sizeMb}m,mode=755`
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'cashflow', home.files], { stdio: 'ignore' })
    } catch {
      return undefined
    }
  }
  const filler = join(home.files, 'filler')
  return {
    /** Until `free()`, PostgreSQL can extend no file. The server may end because it has no room for its WAL. */
    fill: () => fill(filler),
    free: () => rm(filler, { force: true }),
  }
}

async function fill(file: string): Promise<void> {
  await using filler = await open(file, 'a')
  try {
    for (;;) await filler.write(CHUNK) // Writes a part of the chunk where less than a chunk has room.
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}
