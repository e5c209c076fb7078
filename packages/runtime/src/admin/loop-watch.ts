import type { Loop } from '@cashflow/async'

/** Time without a beat after which a loop counts as hung. Every wait with a limit is shorter. */
const SILENT_MAX_MS = 120_000
/** Time between two looks, in milliseconds. */
export const LOOK_MS = 1_000

/** A loop, and how long it has not beaten while it should have. */
export interface LoopAge {
  readonly name: string
  readonly silentMs: number
}

/**
 * Finds loops that hang because of a bug. A loop is alive if it has turned, or has begun a wait, within two minutes.
 *
 * Only time in which this process runs counts: one that was frozen for an hour, or whose machine slept, has no hung loop.
 *
 * @param loops returns the loops that run at present
 */
export function createLoopWatch(loops: () => Iterable<Loop>, now = () => performance.now()) {
  let seen = new Map<Loop, { turns: number; silentMs: number }>()
  let lookedAt = now()

  return {
    /** Has to be called once in `LOOK_MS`. */
    look(): void {
      const at = now()
      const passedMs = Math.min(at - lookedAt, 2 * LOOK_MS)
      lookedAt = at
      const current: typeof seen = new Map()
      for (const loop of loops()) {
        const { turns, isWaiting } = loop
        const before = seen.get(loop)
        const isSilent = before?.turns === turns && !isWaiting
        current.set(loop, { turns, silentMs: isSilent ? before.silentMs + passedMs : 0 })
      }
      seen = current
    },
    /** The loops that the last look has found, the longest silent of each name. */
    ages(): LoopAge[] {
      const longest = new Map<string, number>()
      for (const [{ name }, { silentMs }] of seen) longest.set(name, Math.max(silentMs, longest.get(name) ?? 0))
      return Array.from(longest, ([name, silentMs]) => ({ name, silentMs }))
    },
    hung(): LoopAge[] {
      return this.ages().filter(({ silentMs }) => silentMs >= SILENT_MAX_MS)
    },
  }
}

export type LoopWatch = ReturnType<typeof createLoopWatch>
