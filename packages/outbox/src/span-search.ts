import { type Kysely, sql } from 'kysely'

const STATEMENTS_MAX = 100
const SPOTS_MAX = 500

/** Times from `from` to before `to`, in microseconds since 1970; `to` may be Infinity. */
export interface TimeSpan {
  readonly from: number
  readonly to: number
}

/** The database's time, in microseconds since 1970. */
export async function nowMicros<Tables>(db: Kysely<Tables>): Promise<number> {
  const { rows } = await sql<{ now: string }>`select (extract(epoch from now()) * 1000000)::bigint as now`.execute(db)
  return Number(rows[0]?.now)
}

export interface SpanSearchOptions {
  /**
   * Takes at most `batchMax` rows that are due at times in these spans.
   *
   * @param isFirst false when an attempt before it, in the same search, met what PostgreSQL cannot read
   * @returns how many, or undefined when PostgreSQL cannot read, or write, one of them: then none was taken
   */
  take(spans: readonly TimeSpan[], batchMax: number, isFirst: boolean): Promise<number | undefined>
  /** The database's time, in microseconds since 1970. */
  now(): Promise<number>
  batchMax: number
}

export interface SpanSearch {
  /** Spans of time that are left out, because a row in them cannot be read. */
  readonly blindSpots: number
  /** Takes rows, those that are due the longest first, from all that can be read. */
  run(options: SpanSearchOptions): Promise<void>
}

/**
 * Looks past rows that PostgreSQL cannot read. An index leads to them by the time at which they are due, and one damaged
 * page among a hundred rows fails the statement for all of them. So a span of time that fails is halved, the widest
 * first, until it is a microsecond: the rest of it can be read. Rows that share a microsecond are left out together. What
 * is left is remembered as a blind spot, and tried again, as an operator may have repaired it: one in a search, and none
 * earlier than `againMs` milliseconds after the last one. A search has a limited number of statements; the next one goes on.
 */
export function createSpanSearch({ againMs = 0, clock = () => performance.now() } = {}): SpanSearch {
  /** In the order of time. */
  let blind: TimeSpan[] = []
  let next = 0
  let triedAt = Number.NEGATIVE_INFINITY

  return {
    get blindSpots() {
      return blind.length
    },
    async run({ take, now, batchMax }) {
      let statements = 0
      let taken = 0
      const isOver = () => statements >= STATEMENTS_MAX || taken >= batchMax
      const see = async (spans: readonly TimeSpan[]) => {
        statements += 1
        const count = await take(spans, batchMax - taken, statements === 1)
        taken += count ?? 0
        return count !== undefined
      }

      /** Finds the spans that fail among those that fail together. */
      async function locate(spans: readonly TimeSpan[]): Promise<void> {
        if (spans.length === 1 || isOver()) {
          blind = inOrder([...blind, ...spans])
          return
        }
        const middle = Math.ceil(spans.length / 2)
        for (const half of [spans.slice(0, middle), spans.slice(middle)])
          if (isOver() || !(await see(half))) await locate(half)
      }

      async function split(spot: TimeSpan): Promise<void> {
        const failing: TimeSpan[] = []
        for (const half of halvesOf(spot)) if (isOver() || !(await see([half]))) failing.push(half)
        blind = inOrder([...blind.filter((other) => other !== spot), ...failing])
      }

      const visible = between(blind)
      if (!(await see(visible))) await locate(until(await now(), visible))
      for (let spot = widest(blind); spot && !isOver() && blind.length < SPOTS_MAX; spot = widest(blind))
        await split(spot)
      if (clock() - triedAt < againMs) return
      triedAt = clock()
      while (blind.length > 0 && !isOver()) {
        next %= blind.length
        if (!(await see([blind[next] as TimeSpan]))) break
        blind = blind.toSpliced(next, 1)
      }
      next += 1
    },
  }
}

/** All that is not in these spans. */
function between(spans: readonly TimeSpan[]): TimeSpan[] {
  const starts = [0, ...spans.map(({ to }) => to)]
  const ends = [...spans.map(({ from }) => from), Number.POSITIVE_INFINITY]
  return starts.map((from, index) => ({ from, to: ends[index] as number })).filter(({ from, to }) => from < to)
}

/** The last of them, which has no end, gets one. */
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

/** Of those that can be halved. */
function widest(spans: readonly TimeSpan[]): TimeSpan | undefined {
  const width = ({ from, to }: TimeSpan) => to - from
  return spans.filter((span) => width(span) > 1).sort((one, other) => width(other) - width(one))[0]
}

function inOrder(spans: TimeSpan[]): TimeSpan[] {
  return spans.sort((one, other) => one.from - other.from)
}
