import { DeadlineError } from '@cashflow/async'
import type { StoredKey } from '@cashflow/db'
import type { FoundKey } from './key-lookups.ts'

/** Maximum age of what PostgreSQL has said about a key, in milliseconds. A revocation takes effect within this time. */
const AGE_MAX_MS = 5_000
/** Age from which the next request starts a look-up in the background, so that no request of a busy key waits for one. */
const REFRESH_AFTER_MS = 4_000
/** Keys that exist, each with about 500 bytes. */
export const KNOWN_MAX = 10_000
const UNKNOWN_MAX = 10_000

interface Lookups {
  find(id: string, address: string): Promise<FoundKey>
}

export interface KeyCacheOptions {
  /** Looks up keys that this process has seen. They have a statement of their own: unknown ids never delay them. */
  known: Lookups
  /** Looks up ids of which nothing is known, such as invented ones. */
  unknown: Lookups
  /** Called after each look-up in the background, with the error if it failed. Requests that need one fail themselves. */
  onRefreshed(error?: unknown): void
  now?: () => number
}

export type KeyCache = ReturnType<typeof createKeyCache>

/**
 * Keeps keys in memory for 5 s, counted from before their look-up was sent. An older one is never used, also while PostgreSQL
 * is away. An id is looked up once at a time. The memory is bounded, and invented ids displace no key that exists.
 */
export function createKeyCache({ known, unknown, onRefreshed, now = () => performance.now() }: KeyCacheOptions) {
  /** The least recently looked up first. Those that are too old stay: their next look-up is one of a known key. */
  const keys = new Map<string, FoundKey>()
  /** Ids that no key has. */
  const absent = new Map<string, FoundKey>()
  const lookups = new Map<string, Promise<FoundKey>>()

  function lookUp(id: string, address: string): Promise<FoundKey> {
    const running = lookups.get(id)
    if (running) return running
    const lookup = (keys.has(id) ? known.find(id, '') : unknown.find(id, address))
      .then((found) => keep(id, found))
      .finally(() => lookups.delete(id))
    lookups.set(id, lookup)
    return lookup
  }

  function keep(id: string, found: FoundKey): FoundKey {
    keys.delete(id)
    absent.delete(id)
    const [map, max] = found.key ? [keys, KNOWN_MAX] : [absent, UNKNOWN_MAX]
    map.set(id, found)
    const [oldest] = map.keys()
    if (map.size > max && oldest !== undefined) map.delete(oldest)
    return found
  }

  const isUsable = ({ askedAt }: FoundKey) => now() - askedAt < AGE_MAX_MS

  return {
    /** Returns what is known of an id. Undefined if nothing is, or if that is too old. */
    recall(id: string): FoundKey | undefined {
      const found = keys.get(id) ?? absent.get(id)
      if (!found || !isUsable(found)) return undefined
      if (found.key && now() - found.askedAt >= REFRESH_AFTER_MS && !lookups.has(id))
        lookUp(id, '').then(() => onRefreshed(), onRefreshed)
      return found
    },
    /**
     * Looks an id up, and waits for the answer.
     *
     * @param address of the client
     * @throws Problem `overloaded`, DeadlineError, or an error of PostgreSQL
     */
    async lookUp(id: string, address: string): Promise<FoundKey> {
      const found = await lookUp(id, address)
      if (!isUsable(found)) throw new DeadlineError('the look-up of a key was answered too late to be used')
      return found
    },
  }
}

/** True if a key counts at this time: it is neither revoked nor expired, by the clock of PostgreSQL. */
export function isInForce({ revokedAt, expiresAt, now: lookedUpAt }: StoredKey, sinceAskedMs: number): boolean {
  // The look-up was executed after it was asked for, so no key counts for longer than it should.
  return revokedAt === null && (expiresAt === null || expiresAt.getTime() - lookedUpAt.getTime() > sinceAskedMs)
}
