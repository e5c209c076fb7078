import { isPermanent, mayBeItemsOwn } from '@cashflow/db'

/** Pause of an item that could not be worked on: by damage, or because another session has locked a row. */
const SET_ASIDE_MS = { damaged: 10_000, busy: 1_000 }

/** Merchants or endpoints that are left out for a while, so that they stop no other. */
export type Aside = ReturnType<typeof createAside>

/** @param onAside called when one is set aside */
export function createAside(onAside: (id: string, error: unknown) => void) {
  const untilById = new Map<string, number>()
  return {
    add(id: string, error: unknown): void {
      const ms = isBusy(error) ? SET_ASIDE_MS.busy : SET_ASIDE_MS.damaged
      untilById.set(id, performance.now() + ms)
      onAside(id, error)
    },
    ids(): string[] {
      const now = performance.now()
      for (const [id, until] of untilById) if (until < now) untilById.delete(id)
      return [...untilById.keys()]
    },
  }
}

/** One item may cause it: a damaged page, a statement that takes too long, a lock of another session, or a value that fits nothing. */
export function isOwn(error: unknown): boolean {
  return mayBeItemsOwn(error) || isBusy(error) || isBug(error)
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === '57014' || error.code === '55P03')
}

/** Not of PostgreSQL or the network. */
function isBug(error: unknown): boolean {
  return isPermanent(error) && !(error instanceof Error && 'code' in error)
}
