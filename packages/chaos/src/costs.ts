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

export function costsOf({ occurrences, facts, from, to }: Pick<Run, 'occurrences' | 'facts' | 'from' | 'to'>): Cost[] {
  const gaps = gapsBetween([from, ...acceptedAt(facts), to])
  const lives = livesOf(facts)
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
export function longestOutageMs({ facts, from, to }: Pick<Run, 'facts' | 'from' | 'to'>): number {
  return longest(gapsBetween([from, ...acceptedAt(facts), to]))
}

function acceptedAt({ wishes }: Facts): number[] {
  const all = wishes.flatMap(({ answers }) => answers.filter(({ status }) => status === 201).map(({ at }) => at))
  return all.toSorted((one, other) => one - other)
}

function gapsBetween(times: readonly number[]): Span[] {
  return times.slice(1).map((to, index) => ({ from: times[index] as number, to }))
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
