import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pause } from '@cashflow/async'

/** A lock that is held. `release()` ends it. If the process ends first, the kernel releases it. */
export type Lock = NonNullable<ReturnType<typeof tryLock>>

const SQLITE_BUSY = 5
const RETRY_MS = 250

/**
 * Takes a machine-wide lock, or returns undefined if another process holds it. An exclusive transaction of SQLite is a
 * kernel file lock, for which Node has no other interface. A lock file with a pid would survive its holder, and two
 * processes could take over a stale one at the same time.
 */
export function tryLock(file: string) {
  mkdirSync(dirname(file), { recursive: true })
  const database = new DatabaseSync(file, { timeout: 0 })
  try {
    database.exec('PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE')
    const release = () => database.close()
    return { release, [Symbol.dispose]: release }
  } catch (error) {
    database.close()
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined
    throw error
  }
}

/** Waits for the lock. `onWait` is called once if another process holds it. @throws the signal's reason */
export async function lock(file: string, onWait: () => void, signal?: AbortSignal): Promise<Lock> {
  for (let waits = 0; ; waits++) {
    const taken = tryLock(file)
    if (taken) return taken
    if (waits === 0) onWait()
    await pause(RETRY_MS, signal)
    signal?.throwIfAborted()
  }
}
