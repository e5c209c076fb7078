import type { Facts } from './facts.ts'
import type { Occurrence } from './occurrences.ts'
import type { Run } from './run.ts'

/** What a fault that had an effect cost, in milliseconds. */
export interface Cost {
  readonly fault: string
  readonly lastedMs: number
  /** The longest time without a 201 that overlaps with it. */
  readonly outageMs: number
  /** From its end until each payment that was there by then was settled. */
  readonly drainMs: number
}

interface Span {
  readonly from: number
  readonly to: number
}

type Times = Pick<Run, 'facts' | 'from' | 'to'>

export function costsOf({ occurrences, ...run }: Times & Pick<Run, 'occurrences'>): Cost[] {
  const gaps = gapsOf(run)
  const lives = livesOf(run.facts)
  return occurrences
    .filter(({ noEffect }) => !noEffect)
    .map((occurrence) => ({
      fault: occurrence.fault,
      lastedMs: occurrence.healed - occurrence.from,
      outageMs: longest(gaps.filter((gap) => gap.from < occurrence.healed && gap.to > occurrence.from)),
      drainMs: drainAfter(occurrence, lives),
    }))
}

/** The longest time of the run in which no client was answered with 201. */
export function longestOutageMs(run: Times): number {
  return longest(gapsOf(run))
}

/** Between two answers with 201, as long as there was load: what is created when all is over ends no outage. */
function gapsOf({ facts, from, to }: Times): Span[] {
  const answers = facts.wishes.flatMap((wish) => wish.answers)
  const accepted = answers.filter(({ status, at }) => status === 201 && at <= to).map(({ at }) => at)
  const times = [from, ...accepted.toSorted((one, other) => one - other), to]
  return times.slice(1).map((end, index) => ({ from: times[index] as number, to: end }))
}

function longest(spans: readonly Span[]): number {
  return spans.reduce((most, { from, to }) => Math.max(most, to - from), 0)
}

/** Of each payment that ended: from its creation to its end. */
function livesOf({ events }: Facts): Span[] {
  const byPayment = Map.groupBy(events, ({ paymentId }) => paymentId)
  return [...byPayment.values()].flatMap(([created, ended]) =>
    created?.committedAt && ended?.committedAt ? [{ from: created.committedAt, to: ended.committedAt }] : [],
  )
}

function drainAfter({ healed }: Occurrence, lives: readonly Span[]): number {
  const last = lives.filter(({ from }) => from <= healed).reduce((latest, { to }) => Math.max(latest, to), healed)
  return last - healed
}
