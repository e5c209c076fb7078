import { type Cost, costsOf, longestOutageMs } from './costs.ts'
import { historyOf } from './history.ts'
import type { Harm, Violation } from './invariants.ts'
import type { Run } from './run.ts'

const VIOLATIONS_SHOWN_MAX = 20

/** What a run came to, for people. */
export function report(run: Run, { seed }: { seed: number }): string {
  return [summary(run, seed), table(costsOf(run)), ...run.leftOut.map((line) => `left out: ${line}`), verdict(run)]
    .filter((part) => part !== '')
    .join('\n\n')
}

/** Payments that were lost, or doubled: each counts once, however many invariants say so. */
export function countHarmed(violations: readonly Violation[], harm: Harm): number {
  const own = violations.filter((violation) => violation.harm === harm)
  return new Set(own.map(({ paymentId, what }) => paymentId ?? what)).size
}

function summary(run: Run, seed: number): string {
  const { facts, violations, from, to, drainMs, errors, occurrences } = run
  const { payments, wishes, letters, charges } = facts
  const of = (status: string) => payments.filter((payment) => payment.status === status).length
  const answers = tally(wishes.flatMap(({ answers }) => answers.map(({ status }) => String(status))))
  const lines: [string, string][] = [
    ['seed', String(seed)],
    ['load', `${wishes.length} payments in ${seconds(to - from)}, ${perSecond(wishes.length, to - from)}`],
    ['faults', `${occurrences.length} of ${new Set(occurrences.map(({ fault }) => fault)).size} kinds`],
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
function table(costs: readonly Cost[]): string {
  if (costs.length === 0) return ''
  const rows = [...Map.groupBy(costs, ({ fault }) => fault)].map(([fault, own]) => {
    const spread = (values: number[]) => `${seconds(median(values))} | ${seconds(Math.max(...values))}`
    const outage = spread(own.map(({ outageMs }) => outageMs))
    return `| ${fault} | ${own.length} | ${seconds(median(own.map(({ lastedMs }) => lastedMs)))} | ${outage} | ${spread(own.map(({ drainMs }) => drainMs))} |`
  })
  const head = '| Fault | Times | Lasted, median | Outage, median | Outage, longest | Drain, median | Drain, longest |'
  return [head, '| --- | ---: | ---: | ---: | ---: | ---: | ---: |', ...rows].join('\n')
}

function verdict({ violations, facts }: Run): string {
  if (violations.length === 0) return 'Every invariant holds.'
  const shown = violations.slice(0, VIOLATIONS_SHOWN_MAX).map(({ rule, harm, paymentId, what }) => {
    const about = paymentId === undefined ? '' : `\n${historyOf(facts, paymentId)}`
    return `BROKEN (${harm}): ${rule}\n  ${paymentId ?? ''} ${what}${about}`
  })
  const more = violations.length - shown.length
  return [
    ...shown,
    ...(more > 0 ? [`and ${more} more`] : []),
    `${violations.length} times an invariant is broken.`,
  ].join('\n\n')
}

function tally(values: readonly string[]): Record<string, number> {
  return Object.fromEntries([...Map.groupBy(values, (value) => value)].map(([value, all]) => [value, all.length]))
}

function inline(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor((values.length - 1) / 2)] ?? 0
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}

function perSecond(count: number, ms: number): string {
  return `${(count / (ms / 1_000)).toFixed(1)}/s`
}
