import { isDamage } from './errors.ts'
import { readPages, type Span, type Unreadable } from './pages.ts'

/** Rows in the order of their places, with the places of those that PostgreSQL cannot read. */
export interface Found<Row extends object> {
  readonly found: readonly (Row | Unreadable)[]
  /** True if it ends early, because its time is over. */
  readonly isCut: boolean
}

export interface Reading<Row extends object> {
  /** Reads the first rows of a span in the order of their places, at most `limit` of them. */
  read(span: Span, limit: number): Promise<readonly Row[]>
  placeOf(row: Row): bigint
  readonly span: Span
  /** Maximum number of rows, including those that cannot be read. */
  readonly limit: number
  /**
   * Time after which it ends early, once it has found a row, in milliseconds. A row that cannot be read takes up to 200
   * statements.
   */
  readonly cutMs: number
}

/**
 * Reads rows in one statement. If PostgreSQL cannot read one of them, the rows are read page by page, and that row is left
 * out and named by its place.
 */
export async function readPastDamage<Row extends object>({
  read,
  placeOf,
  span,
  limit,
  cutMs,
}: Reading<Row>): Promise<Found<Row>> {
  try {
    return { found: await read(span, limit), isCut: false }
  } catch (error) {
    if (!isDamage(error)) throw error
  }
  const readPage = async (after: bigint, to: bigint, most: number) => {
    const rows = await read({ after, to }, most)
    const last = rows.length === most ? rows.at(-1) : undefined
    return { rows, upto: last ? placeOf(last) : to }
  }
  const found: (Row | Unreadable)[] = []
  const cutAt = performance.now() + cutMs
  for await (const part of readPages(readPage, span, limit, { awayMs: 0, isOwn: isDamage })) {
    if ('error' in part) found.push(part)
    else found.push(...part.rows)
    if (found.length >= limit) return { found: found.slice(0, limit), isCut: false }
    if (found.length > 0 && performance.now() > cutAt) return { found, isCut: true }
  }
  return { found, isCut: false }
}

export function isUnreadable(part: object): part is Unreadable {
  return 'at' in part && typeof part.at === 'bigint'
}

/** Something that a list leaves out, because PostgreSQL cannot read it. */
export interface LeftOut {
  /** What it is, such as `payment 0197f3c0-…`. */
  readonly what: string
  /** PostgreSQL's words. */
  readonly why: string
}

export function leftOut(what: string, error: Error): LeftOut {
  return { what, why: wordsOf(error) }
}

/** The SQLSTATE and the words of PostgreSQL's error. */
export function wordsOf(error: Error): string {
  return 'code' in error ? `${error.code} ${error.message}` : error.message
}
