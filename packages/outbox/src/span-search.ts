import { defined } from '@cashflow/async'
import { type Kysely, sql } from 'kysely'
import { type OutboxTables, outboxOf } from './tables.ts'

const STATEMENTS_MAX = 100
const SPOTS_MAX = 500

/** Times from `from` to before `to`, in microseconds since 1970; `to` may be Infinity. */
export interface TimeSpan {
  readonly from: number
  readonly to: number
}

/** Time spans as rows of a statement: `span (from_micros, to_micros)`. Arrays, not a record set: JSON has no infinity. */
export function timeSpans(spans: readonly TimeSpan[]) {
  // As `sql`: the builder has no arrays of a type.
  const [from, to] = [spans.map((span) => span.from), spans.map((span) => span.to)]
  return sql<{ from_micros: number; to_micros: number }>`unnest(${from}::float8[], ${to}::float8[])`.as<'span'>(
    sql`span (from_micros, to_micros)`,
  )
}

/** The database's time, in microseconds since 1970. */
export async function nowMicros<Tables extends OutboxTables>(db: Kysely<Tables>): Promise<number> {
  const now = sql<string>`(extract(epoch from now()) * 1000000)::bigint`.as('now') // The builder has no EXTRACT.
  return Number((await outboxOf(db).selectNoFrom(now).executeTakeFirstOrThrow()).now)
}

export interface SpanSearchOptions {
  /**
   * Takes at most `batchMax` rows that are due at times in these spans.
   *
   * @param isFirst false after an attempt of the same search that met a row that PostgreSQL cannot read
   * @returns how many rows it took; undefined if PostgreSQL cannot read or write one of them, and none was taken
   */
  take(spans: readonly TimeSpan[], batchMax: number, isFirst: boolean): Promise<number | undefined>
  /** The database's time, in microseconds since 1970. */
  now(): Promise<number>
  batchMax: number
}

export type SpanSearch = ReturnType<typeof createSpanSearch>

/**
 * Searches past rows that PostgreSQL cannot read. One damaged page among a hundred rows fails the statement for all of
 * them, but an index finds rows by their due time.
 *
 * 1. A time span that fails is halved, the widest first, down to a microsecond. Rows that share a microsecond are left
 *    out together.
 * 2. The failing spans that remain are blind spots. A search tries one again, because an operator may have repaired it.
 *    It waits at least `againMs` milliseconds between two such tries.
 * 3. A search makes a limited number of statements. The next search continues.
 */
export function createSpanSearch({ againMs = 0, clock = () => performance.now() } = {}) {
  /** Ordered by time. */
  let blind: TimeSpan[] = []
  let next = 0
  let triedAt = Number.NEGATIVE_INFINITY

  return {
    /** Number of time spans that are left out because a row in them cannot be read. */
    get blindSpots(): number {
      return blind.length
    },
    /** Takes the rows that can be read, starting with those that have been due longest. */
    async run({ take, now, batchMax }: SpanSearchOptions): Promise<void> {
      let statements = 0
      let taken = 0
      const isDone = () => statements >= STATEMENTS_MAX || taken >= batchMax
      const canTake = async (spans: readonly TimeSpan[]) => {
        statements += 1
        const count = await take(spans, batchMax - taken, statements === 1)
        taken += count ?? 0
        return count !== undefined
      }

      /** Finds the failing spans among spans that fail together. */
      async function locate(spans: readonly TimeSpan[]): Promise<void> {
        if (spans.length === 1 || isDone()) {
          blind = inOrder([...blind, ...spans])
          return
        }
        const middle = Math.ceil(spans.length / 2)
        for (const half of [spans.slice(0, middle), spans.slice(middle)])
          if (isDone() || !(await canTake(half))) await locate(half)
      }

      async function split(spot: TimeSpan): Promise<void> {
        const failing: TimeSpan[] = []
        for (const half of halvesOf(spot)) if (isDone() || !(await canTake([half]))) failing.push(half)
        blind = inOrder([...blind.filter((other) => other !== spot), ...failing])
      }

      const visible = between(blind)
      if (!(await canTake(visible))) await locate(until(await now(), visible))
      for (let spot = widest(blind); spot && !isDone() && blind.length < SPOTS_MAX; spot = widest(blind))
        await split(spot)
      if (clock() - triedAt < againMs) return
      triedAt = clock()
      while (blind.length > 0 && !isDone()) {
        next %= blind.length
        if (!(await canTake([defined(blind[next], 'blind spot')]))) break
        blind = blind.toSpliced(next, 1)
      }
      next += 1
    },
  }
}

/** All time that is not in these spans. */
function between(spans: readonly TimeSpan[]): TimeSpan[] {
  const starts = [0, ...spans.map(({ to }) => to)]
  const ends = [...spans.map(({ from }) => from), Number.POSITIVE_INFINITY]
  return starts
    .map((from, index) => ({ from, to: defined(ends[index], 'end of a span') }))
    .filter(({ from, to }) => from < to)
}

/** The same spans with an end for the last one, which has none. */
function until(end: number, spans: readonly TimeSpan[]): TimeSpan[] {
  return spans.map(({ from, to }) => ({ from, to: Math.min(to, Math.max(end, from + 1)) }))
}

function halvesOf({ from, to }: TimeSpan): TimeSpan[] {
  const middle = from + Math.floor((to - from) / 2)
  return [
    { from, to: middle },
    { from: middle, to },
  ]
}

/** The widest span that can be halved. */
function widest(spans: readonly TimeSpan[]): TimeSpan | undefined {
  const width = ({ from, to }: TimeSpan) => to - from
  return spans.filter((span) => width(span) > 1).sort((one, other) => width(other) - width(one))[0]
}

function inOrder(spans: TimeSpan[]): TimeSpan[] {
  return spans.sort((one, other) => one.from - other.from)
}
