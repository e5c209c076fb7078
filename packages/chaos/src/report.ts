import { median } from '@cashflow/testing'
import { commandLine, type Plan } from './arguments.ts'
import { type Cost, costsOf, longestOutageMs } from './costs.ts'
import type { Facts } from './facts.ts'
import { historyOf } from './history.ts'
import type { Harm, Violation } from './invariants.ts'
import type { Run } from './run.ts'

/** In the report itself. */
export const VIOLATIONS_SHOWN_MAX = 20

/** What a run came to, for people. */
export function report(run: Run, plan: Plan): string {
  return [summary(run, plan), table(run), ...run.leftOut.map((line) => `left out: ${line}`), verdict(run)]
    .filter((part) => part !== '')
    .join('\n\n')
}

/** All of them, each with what is known of its payment. */
export function describeViolations({ violations, facts }: Pick<Run, 'violations' | 'facts'>): string {
  return violations.map((violation) => describe(violation, facts)).join('\n\n')
}

/** Payments that were lost, or doubled: each counts once, however many invariants say so. */
export function countHarmed(violations: readonly Violation[], harm: Harm): number {
  const own = violations.filter((violation) => violation.harm === harm)
  return new Set(own.map(({ paymentId, what }) => paymentId ?? what)).size
}

function summary(run: Run, plan: Plan): string {
  const { facts, violations, from, to, drainMs, errors, occurrences } = run
  const { payments, wishes, letters, charges } = facts
  const of = (status: string) => payments.filter((payment) => payment.status === status).length
  const answers = tally(wishes.flatMap(({ answers }) => answers.map(({ status }) => String(status))))
  const met = new Set(occurrences.filter(({ noEffect }) => !noEffect).map(({ fault }) => fault))
  const unmet = plan.faults.map(({ name }) => name).filter((name) => !met.has(name))
  const lines: [string, string][] = [
    ['seed', String(plan.seed)],
    ['again', commandLine(plan)],
    ['load', `${wishes.length} payments in ${seconds(to - from)}, ${perSecond(wishes.length, to - from)}`],
    ['faults', `${occurrences.length}, with an effect: ${met.size} of ${plan.faults.length} kinds`],
    ['not met', unmet.join(', ') || 'none'],
    ['answers', inline(answers)],
    ['stored', `${payments.length}: SUCCESS ${of('SUCCESS')}, FAILED ${of('FAILED')}, PENDING ${of('PENDING')}`],
    ['charges', `${charges.length}, messages seen ${facts.sightings.length}`],
    ['lost', String(countHarmed(violations, 'lost'))],
    ['doubled', String(countHarmed(violations, 'doubled'))],
    ['parked', String(payments.filter(({ parked }) => parked).length)],
    ['dead letters', inline(tally(letters.map(({ source, reason }) => `${source}: ${reason}`))) || 'none'],
    ['drained in', seconds(drainMs)],
    ['longest outage', seconds(longestOutageMs(run))],
    ['errors logged', inline(errors) || 'none'],
  ]
  return lines.map(([name, value]) => `${name.padEnd(16)}${value}`).join('\n')
}

/** In Markdown, so that it can be shown as it is. */
function table(run: Run): string {
  const costs = Map.groupBy(costsOf(run), ({ fault }) => fault)
  const rows = [...Map.groupBy(run.occurrences, ({ fault }) => fault)].map(([fault, all]) =>
    row(fault, all.length, costs.get(fault) ?? []),
  )
  if (rows.length === 0) return ''
  const head =
    '| Fault | Times | Without effect | Lasted, median | Outage, median | Outage, longest | Drain, median | Drain, longest |'
  return [head, '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |', ...rows].join('\n')
}

function row(fault: string, times: number, costs: readonly Cost[]): string {
  const of = (pick: (values: number[]) => number, cost: (cost: Cost) => number) =>
    costs.length > 0 ? seconds(pick(costs.map(cost))) : ''
  const longest = (values: number[]) => Math.max(...values)
  const cells = [
    ...[fault, times, times - costs.length],
    of(median, ({ lastedMs }) => lastedMs),
    of(median, ({ outageMs }) => outageMs),
    of(longest, ({ outageMs }) => outageMs),
    of(median, ({ drainMs }) => drainMs),
    of(longest, ({ drainMs }) => drainMs),
  ]
  return `| ${cells.join(' | ')} |`
}

function verdict({ violations, facts }: Run): string {
  if (violations.length === 0) return 'Every invariant holds.'
  const shown = violations.slice(0, VIOLATIONS_SHOWN_MAX)
  const more = violations.length - shown.length
  return [
    describeViolations({ violations: shown, facts }),
    ...(more > 0 ? [`and ${more} more`] : []),
    `${violations.length} times an invariant is broken.`,
  ].join('\n\n')
}

function describe({ rule, harm, paymentId, what }: Violation, facts: Facts): string {
  const about = paymentId === undefined ? '' : `\n${historyOf(facts, paymentId)}`
  return `BROKEN (${harm}): ${rule}\n  ${paymentId ?? ''} ${what}${about}`
}

function tally(values: readonly string[]): Record<string, number> {
  return Object.fromEntries([...Map.groupBy(values, (value) => value)].map(([value, all]) => [value, all.length]))
}

function inline(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}

function perSecond(count: number, ms: number): string {
  return `${(count / (ms / 1_000)).toFixed(1)}/s`
}
