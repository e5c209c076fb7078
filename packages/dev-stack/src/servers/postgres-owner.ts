import { globSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { identify, isRunning, type ProcessIdentity } from '../processes/identity.ts'
import { writeFileAtomically } from '../write-file-atomically.ts'
import type { PostgresHome } from './postgres-home.ts'

const OWNER = 'owner.json'

/** Files that are kept belong to nobody; others to the process that started their server, and go with it. */
export function markOwner({ files }: PostgresHome, keep: boolean): void {
  const file = join(files, OWNER)
  if (keep) rmSync(file, { force: true })
  else writeFileAtomically(file, JSON.stringify(identify(process.pid)))
}

/** Root's data lie in one folder for all: without this, those of test runs that were killed would pile up there. */
export function removeOrphans({ files, user }: PostgresHome): void {
  if (user === undefined) return
  for (const file of globSync(join(dirname(files), '*', OWNER))) {
    const owner = read(file)
    if (owner && !isRunning(owner)) rmSync(dirname(file), { recursive: true, force: true, maxRetries: 3 })
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
