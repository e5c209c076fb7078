import { pause } from '@cashflow/async'
import { isTransient, mayBeItemsOwn } from './errors.ts'

// While the server restarts, or a migration locks a table.
const AWAY_MS = 60_000
const AGAIN_MS = 500

/** What a statement has read: everything after the place that it began at, up to `upto`. */
export interface Page {
  /** A place in the order of reading, such as the number that a UUID is. */
  readonly upto: bigint
}

/**
 * Reads everything after a place and not behind `to`.
 *
 * @param limit maximum number of rows
 */
export type ReadPage<Read extends Page> = (after: bigint, to: bigint, limit: number) => Promise<Read>

/** The place of a row that PostgreSQL cannot read, with its error. */
export interface Unreadable {
  readonly at: bigint
  readonly error: Error
}

export interface Span {
  /** The place before the first one. */
  readonly after: bigint
  readonly to: bigint
}

/**
 * Reads a span page by page, each in a statement of its own. A row that PostgreSQL cannot read is found and left out. A
 * statement that takes too long is repeated for fewer rows.
 *
 * Reading such a row may fail in every way, so only its place in an index is known. It is found by halving the span. A
 * statement may read a row behind its last one, so pages before the row are read in a span that ends before it.
 *
 * @param awayMs time for which a server may be away, in milliseconds
 * @param isOwn whether a row may have caused an error
 * @throws the error of a server that stays away, or of one row whose statement takes too long
 */
export async function* readPages<Read extends Page>(
  read: ReadPage<Read>,
  { after, to }: Span,
  limitMax: number,
  { awayMs = AWAY_MS, isOwn = mayBeItemsOwn } = {},
): AsyncGenerator<Read | Unreadable> {
  let place = after
  /** A row after `place` and not behind this could not be read. */
  let failing: bigint | undefined
  for (let limit = limitMax; place < to; ) {
    const end = failing === undefined ? to : place + (failing - place + 1n) / 2n
    try {
      const page = await whileAway(() => read(place, end, limit), awayMs)
      limit = Math.min(limitMax, 2 * limit)
      place = page.upto
      if (failing !== undefined && place >= failing) failing = undefined
      yield page
    } catch (error) {
      if (limit > 1 && (isTooSlow(error) || (isOwn(error) && failing === undefined))) {
        limit = Math.ceil(limit / 8)
        continue
      }
      if (!(error instanceof Error && isOwn(error))) throw error
      failing = end
      if (end - place > 1n) continue
      place = end
      failing = undefined
      yield { at: end, error }
    }
  }
}

function isTooSlow(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '57014'
}

/** Repeats work while the server is away. It has to be safe to repeat. */
export async function whileAway<Result>(work: () => Promise<Result>, awayMs = AWAY_MS): Promise<Result> {
  const giveUpAt = performance.now() + awayMs
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!isTransient(error) || performance.now() > giveUpAt) throw error
    }
    await pause(AGAIN_MS)
  }
}

/** Begins to read the next page while the caller works with one. */
export async function* ahead<Item>(items: AsyncGenerator<Item>): AsyncGenerator<Item> {
  let next = items.next()
  for (;;) {
    const { done, value } = await next
    if (done) return
    next = items.next()
    next.catch(() => {}) // It is thrown where it is awaited.
    yield value
  }
}

export const BIGINT_MAX = 2n ** 63n - 1n
export const UUID_MAX = 2n ** 128n - 1n

/** The span of all UUIDs. */
export const ALL_UUIDS: Span = { after: -1n, to: UUID_MAX }

export function placeOfUuid(uuid: string): bigint {
  return BigInt(`0x${uuid.replaceAll('-', '')}`)
}

export function uuidAt(place: bigint): string {
  const digits = place.toString(16).padStart(32, '0')
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
