import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'

/** Released by `release()` and, whatever kills the process, by the kernel. */
export type Lock = { release(): void }

const SQLITE_BUSY = 5
const RETRY_MS = 250

/**
 * Takes a machine-wide lock; undefined if somebody has it. SQLite's exclusive transaction is a kernel file lock, which
 * Node offers nowhere else: a lock file with a pid would outlive its holder, and taking over a stale one is a race.
 */
export function tryLock(file: string): Lock | undefined {
  mkdirSync(dirname(file), { recursive: true })
  const database = new DatabaseSync(file, { timeout: 0 })
  try {
    database.exec('PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE')
    return { release: () => database.close() }
  } catch (error) {
    database.close()
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined
    throw error
  }
}

export async function lock(file: string, onWait: () => void, signal?: AbortSignal): Promise<Lock> {
  for (let waits = 0; ; waits++) {
    const taken = tryLock(file)
    if (taken) return taken
    if (waits === 0) onWait()
    await sleep(RETRY_MS, undefined, signal ? { signal } : {})
  }
}
