import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { within } from '@cashflow/async'
import type { ProcessIdentity } from '../processes/process-table.ts'
import { thawTree } from './freeze-tree.ts'

const FREEZER = join(import.meta.dirname, 'freezer-main.ts')
const UNDO_PATIENCE_MS = 3_000

export type Freeze = Awaited<ReturnType<typeof startFreeze>>

/**
 * Freezes a process and its descendants for `ms` milliseconds, by a process of its own that this one's death does not end.
 * Resolves when they are frozen.
 *
 * @throws Error if they could not be frozen. They then run
 */
export async function startFreeze(root: ProcessIdentity, ms: number) {
  const freezer = spawn(process.execPath, [FREEZER, String(root.pid), root.startedAt, String(ms)], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE },
  })
  const closed = new Promise<void>((resolve) => {
    freezer.once('close', () => resolve()).once('error', () => resolve())
  })
  const reported = once(createInterface({ input: freezer.stdout }), 'line', { signal: abortedBy(closed) })
  let frozen: readonly ProcessIdentity[] = [root]
  // The freezer has undone it, unless a signal killed the freezer.
  const ended = closed.then(() => thawTree(frozen))
  try {
    const [line] = await reported
    frozen = JSON.parse(String(line))
  } catch (cause) {
    await ended
    throw new Error('the process could not be frozen', { cause })
  }
  return {
    /** Number of frozen processes. */
    count: frozen.length,
    /** Resolves when they run again. */
    ended,
    /** Ends the freeze now. Resolves when they run again. */
    async undo(): Promise<void> {
      freezer.kill('SIGTERM')
      await within(ended, { deadlineMs: UNDO_PATIENCE_MS, what: 'the undo' }).catch(() => freezer.kill('SIGKILL'))
      await ended
    },
  }
}

function abortedBy(end: Promise<void>): AbortSignal {
  const controller = new AbortController()
  void end.then(() => controller.abort(new Error('its freezer ended')))
  return controller.signal
}
