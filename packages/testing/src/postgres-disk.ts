import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isMounted, type PostgresOptions, type PostgresServer, postgresHome, startPostgres } from '@cashflow/dev-stack'

/** A disk that contains only one server's files, and can be filled to its last page. */
export interface SmallDisk {
  /** Until `free()`, PostgreSQL can extend no file. The server may end because it has no room for its WAL. */
  fill(): Promise<void>
  free(): Promise<void>
}

const CHUNK = Buffer.alloc(1024 * 1024)

/**
 * Starts a server with its data on a small disk of its own, which goes when the server stops.
 *
 * @returns the server; without a disk where none was requested, or where only root on Linux could mount one
 */
export async function startPostgresOnDisk({
  diskMb,
  ...options
}: PostgresOptions & { diskMb?: number }): Promise<PostgresServer & { smallDisk?: SmallDisk }> {
  const smallDisk = diskMb === undefined ? undefined : mountSmallDisk(options.dir, diskMb)
  return { ...(await startPostgres(options)), ...(smallDisk && { smallDisk }) }
}

/** Mounts a tmpfs at the server's folder, unless one is mounted there. */
export function mountSmallDisk(dir: string, sizeMb: number): SmallDisk | undefined {
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
  return { fill: () => fill(filler), free: () => rm(filler, { force: true }) }
}

async function fill(file: string): Promise<void> {
  const filler = await open(file, 'a')
  try {
    for (;;) await filler.write(CHUNK) // Writes a part of the chunk where less than a chunk has room.
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    await filler.close()
  }
}
