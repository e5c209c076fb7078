import { globSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { identify, isRunning, type ProcessIdentity } from '../processes/process-table.ts'
import { writeFileAtomically } from '../write-file-atomically.ts'
import { mountSmallDisk, type SmallDisk, unmountSmallDisk } from './postgres-disk.ts'
import type { PostgresHome } from './postgres-home.ts'

const OWNER = 'owner.json'

/** Files that are kept belong to nobody; others to the process that started their server, and go with it. */
export function claimFiles(
  home: PostgresHome,
  { keep = false, diskMb }: { keep?: boolean | undefined; diskMb?: number | undefined },
): SmallDisk | undefined {
  mkdirSync(home.files, { recursive: true })
  const smallDisk = diskMb === undefined ? undefined : mountSmallDisk(home, diskMb)
  const file = join(home.files, OWNER)
  if (keep) rmSync(file, { force: true })
  else writeFileAtomically(file, JSON.stringify(identify(process.pid)))
  return smallDisk
}

/** Of a server that is not running. */
export function removeFiles(home: PostgresHome): void {
  unmountSmallDisk(home)
  rmSync(home.files, { recursive: true, force: true, maxRetries: 3 })
}

/** Root's data lie in one folder for all: without this, those of test runs that were killed would pile up there. */
export function removeOrphans(home: PostgresHome): void {
  if (home.user === undefined) return
  for (const file of globSync(join(dirname(home.files), '*', OWNER))) {
    const owner = read(file)
    if (owner && !isRunning(owner)) removeFiles({ ...home, files: dirname(file) })
  }
}

/** Undefined if another run has just removed it. */
function read(file: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ProcessIdentity
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
