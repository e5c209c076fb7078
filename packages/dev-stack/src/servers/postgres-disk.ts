import { execFileSync } from 'node:child_process'
import { readFileSync, realpathSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { PostgresHome } from './postgres-home.ts'

/** A disk that holds nothing but one server's files, and can be filled to its last page. */
export interface SmallDisk {
  /** Until `free()`, PostgreSQL can make no file longer; it may end for want of room for its log. */
  fill(): Promise<void>
  free(): Promise<void>
}

const CHUNK = Buffer.alloc(1024 * 1024)

/** A tmpfs in the place of the server's folder, unless it is there. Undefined where root, on Linux, may not mount it. */
export function mountSmallDisk(home: PostgresHome, sizeMb: number): SmallDisk | undefined {
  if (process.platform !== 'linux' || home.user === undefined) return undefined
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

/** With all that is on it. It is gone from its place at once, even if a process that is just ending still uses it. */
export function unmountSmallDisk(home: PostgresHome): void {
  if (!isMounted(home)) return
  try {
    execFileSync('umount', ['-l', home.files], { stdio: 'pipe' })
  } catch (error) {
    if (isMounted(home)) throw error // Else another process that removes orphans was faster.
  }
}

/** Only root's folders, which are outside any checkout and ours alone, can be mount points of ours. */
function isMounted({ files, user }: PostgresHome): boolean {
  if (process.platform !== 'linux' || user === undefined) return false
  const place = join(realpathSync(dirname(files)), basename(files))
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .some((line) => line.startsWith(`cashflow ${place} tmpfs `))
}

async function fill(file: string): Promise<void> {
  const filler = await open(file, 'a')
  try {
    for (;;) await filler.write(CHUNK) // Less than all of it is written where less has room.
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    await filler.close()
  }
}
