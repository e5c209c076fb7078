import type { RedriveSpan } from '@cashflow/db'

const STATEMENTS_MAX = 100
const SPOTS_MAX = 500

export interface SearchOptions {
  /**
   * Takes at most `batchMax` overdue payments from these spans.
   *
   * @param isFirst false when an attempt before it, in the same search, met what PostgreSQL cannot read
   * @returns how many, or undefined when PostgreSQL cannot read, or write, one of them: then none was taken
   */
  take(spans: readonly RedriveSpan[], batchMax: number, isFirst: boolean): Promise<number | undefined>
  /** The database's time, in microseconds since 1970. */
  now(): Promise<number>
  batchMax: number
}

export interface OverdueSearch {
  /** Spans of time that are left out, because a payment in them cannot be read. */
  readonly blindSpots: number
  /** Takes payments, the longest overdue first, from all that can be read. */
  run(options: SearchOptions): Promise<void>
}

/**
 * Looks past payments that PostgreSQL cannot read. An index leads to them by the time of their redrive, and one damaged
 * page among a hundred payments fails the statement for all of them. So a span of time that fails is halved, the widest
 * first, until it is a microsecond: the rest of it can be read. So payments that one statement claims or redrives must not
 * get the same time: see `fromNow`. What is left is remembered as a blind spot, and tried again, one in each search, as an
 * operator may have repaired it. A search has a limited number of statements; the next one goes on.
 */
export function createOverdueSearch(): OverdueSearch {
  /** In the order of time. */
  let blind: RedriveSpan[] = []
  let next = 0

  return {
    get blindSpots() {
      return blind.length
    },
    async run({ take, now, batchMax }) {
      let statements = 0
      let taken = 0
      const isOver = () => statements >= STATEMENTS_MAX || taken >= batchMax
      const see = async (spans: readonly RedriveSpan[]) => {
        statements += 1
        const count = await take(spans, batchMax - taken, statements === 1)
        taken += count ?? 0
        return count !== undefined
      }

      /** Finds the spans that fail among those that fail together. */
      async function locate(spans: readonly RedriveSpan[]): Promise<void> {
        if (spans.length === 1 || isOver()) {
          blind = inOrder([...blind, ...spans])
          return
        }
        const middle = Math.ceil(spans.length / 2)
        for (const half of [spans.slice(0, middle), spans.slice(middle)])
          if (isOver() || !(await see(half))) await locate(half)
      }

      async function split(spot: RedriveSpan): Promise<void> {
        const failing: RedriveSpan[] = []
        for (const half of halvesOf(spot)) if (isOver() || !(await see([half]))) failing.push(half)
        blind = inOrder([...blind.filter((other) => other !== spot), ...failing])
      }

      const visible = between(blind)
      if (!(await see(visible))) await locate(until(await now(), visible))
      for (let spot = widest(blind); spot && !isOver() && blind.length < SPOTS_MAX; spot = widest(blind))
        await split(spot)
      while (blind.length > 0 && !isOver()) {
        next %= blind.length
        if (!(await see([blind[next] as RedriveSpan]))) break
        blind = blind.toSpliced(next, 1)
      }
      next += 1
    },
  }
}

/** All that is not in these spans. */
function between(spans: readonly RedriveSpan[]): RedriveSpan[] {
  const starts = [0, ...spans.map(({ to }) => to)]
  const ends = [...spans.map(({ from }) => from), Number.POSITIVE_INFINITY]
  return starts.map((from, index) => ({ from, to: ends[index] as number })).filter(({ from, to }) => from < to)
}

/** The last of them, which has no end, gets one. */
function until(end: number, spans: readonly RedriveSpan[]): RedriveSpan[] {
  return spans.map(({ from, to }) => ({ from, to: Math.min(to, Math.max(end, from + 1)) }))
}

function halvesOf({ from, to }: RedriveSpan): RedriveSpan[] {
  const middle = from + Math.floor((to - from) / 2)
  return [
    { from, to: middle },
    { from: middle, to },
  ]
}

/** Of those that can be halved. */
function widest(spans: readonly RedriveSpan[]): RedriveSpan | undefined {
  const width = ({ from, to }: RedriveSpan) => to - from
  return spans.filter((span) => width(span) > 1).sort((one, other) => width(other) - width(one))[0]
}

function inOrder(spans: RedriveSpan[]): RedriveSpan[] {
  return spans.sort((one, other) => one.from - other.from)
}
