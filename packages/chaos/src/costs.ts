import { defined } from '@cashflow/async'
import type { Facts } from './facts.ts'
import type { Run } from './run.ts'

/** The cost of a fault that had an effect. All times are in milliseconds. */
export interface Cost {
  readonly fault: string
  readonly lastedMs: number
  /** The longest time without a 201 that overlaps with the fault. */
  readonly outageMs: number
  /** Time from the fault's end until every payment that existed then was settled. */
  readonly drainMs: number
}

interface Span {
  readonly from: number
  readonly to: number
}

type Times = Pick<Run, 'facts' | 'from' | 'to'>

export function costsOf({ faultRuns, ...run }: Times & Pick<Run, 'faultRuns'>): Cost[] {
  const gaps = gapsOf(run)
  const lives = livesOf(run.facts)
  return faultRuns
    .filter(({ noEffect }) => !noEffect)
    .map(({ fault, from, recoveredAt }) => ({
      fault,
      lastedMs: recoveredAt - from,
      outageMs: longest(gaps.filter((gap) => gap.from < recoveredAt && gap.to > from)),
      drainMs: longest(lives.filter((life) => life.from <= recoveredAt).map(({ to }) => ({ from: recoveredAt, to }))),
    }))
}

/** Returns the longest time of the run without a 201, in milliseconds. */
export function longestOutageMs(run: Times): number {
  return longest(gapsOf(run))
}

/** Returns the times between 201s while there was load. A payment that the final checks create ends no outage. */
function gapsOf({ facts, from, to }: Times): Span[] {
  const answers = facts.paymentRequests.flatMap((request) => request.answers)
  const accepted = answers.filter(({ status, at }) => status === 201 && at <= to).map(({ at }) => at)
  const times = [from, ...accepted.toSorted((one, other) => one - other), to]
  return times.slice(1).map((end, index) => ({ from: defined(times[index], 'time'), to: end }))
}

function longest(spans: readonly Span[]): number {
  return spans.reduce((most, { from, to }) => Math.max(most, to - from), 0)
}

/** Returns the life of each payment that has ended: from its creation to its end. */
function livesOf({ events }: Facts): Span[] {
  const byPayment = Map.groupBy(events, ({ paymentId }) => paymentId)
  return [...byPayment.values()].flatMap(([created, ended]) =>
    created?.committedAt && ended?.committedAt ? [{ from: created.committedAt, to: ended.committedAt }] : [],
  )
}
