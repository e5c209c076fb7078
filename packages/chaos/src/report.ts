import { median } from '@cashflow/testing'
import { commandLine, type Plan } from './arguments.ts'
import { type Cost, costsOf, longestOutageMs } from './costs.ts'
import type { Facts } from './facts.ts'
import type { Violation } from './invariants.ts'
import { idOf } from './payment-request.ts'
import { CANCELED } from './rules/cancels.ts'
import { eventIdOf, type Harm, referenceOf } from './rules/rule.ts'
import type { Run } from './run.ts'

/** Maximum number of violations in the report. */
export const VIOLATIONS_SHOWN_MAX = 20
/** Longer than most alerts take to fire after their fault. Late payments are counted 70 seconds after their creation. */
const ALERT_DELAY_MS = 90_000

/** Returns the report of a run as text. */
export function report(run: Run, plan: Plan): string {
  return [
    summary(run, plan),
    table(run),
    alertTable(run),
    ...run.leftOut.map((line) => `left out: ${line}`),
    verdict(run),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
}

/** Describes all violations, each with the history of its payment. */
export function describeViolations({ violations, facts }: Pick<Run, 'violations' | 'facts'>): string {
  return violations.map((violation) => describe(violation, facts)).join('\n\n')
}

/** Counts the payments that were lost, or doubled. A payment counts once, even if it breaks several invariants. */
function countHarmed(violations: readonly Violation[], harm: Harm): number {
  const own = violations.filter((violation) => violation.harm === harm)
  return new Set(own.map(({ paymentId, what }) => paymentId ?? what)).size
}

function summary(run: Run, plan: Plan): string {
  const { facts, violations, from, to, drainMs, errors, faultRuns } = run
  const { payments, paymentRequests, letters, charges } = facts
  const of = (status: string) => payments.filter((payment) => payment.status === status).length
  const answers = tally(paymentRequests.flatMap(({ answers }) => answers.map(({ status }) => String(status))))
  const met = new Set(faultRuns.filter(({ noEffect }) => !noEffect).map(({ fault }) => fault))
  const unmet = plan.faults.map(({ name }) => name).filter((name) => !met.has(name))
  const perSecond = ((paymentRequests.length * 1_000) / (to - from)).toFixed(1)
  const lines: [string, string][] = [
    ['seed', String(plan.seed)],
    ['repeat with', commandLine(plan)],
    ['load', `${paymentRequests.length} payments in ${seconds(to - from)}, ${perSecond}/s`],
    ['faults', `${faultRuns.length}, with an effect: ${met.size} of ${plan.faults.length} kinds`],
    ['not exercised', unmet.join(', ') || 'none'],
    ['answers', inline(answers)],
    ['stored', `${payments.length}: SUCCESS ${of('SUCCESS')}, FAILED ${of('FAILED')}, PENDING ${of('PENDING')}`],
    ['canceled', String(payments.filter(({ failureCode }) => failureCode === CANCELED).length)],
    ['events', followed(facts)],
    ['webhooks', delivered(run)],
    ['charges', `${charges.length}, messages observed ${facts.sightings.length}`],
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

/** Says how the followers have read the events. */
function followed({ feeds }: Facts): string {
  const pages = feeds.flatMap((feed) => feed.pages)
  const count = pages.reduce((sum, { ids }) => sum + ids.length, 0)
  const lost = pages.filter(({ isStored }) => !isStored).length
  return `${count} on ${pages.length} pages, ${lost} of them with a lost cursor`
}

/** Says what the receivers of webhooks got. */
function delivered({ facts: { endpoints, events }, madeDue }: Run): string {
  const requests = endpoints.flatMap((endpoint) => endpoint.requests)
  const accepted = requests.filter(({ acceptedAt }) => acceptedAt !== undefined).length
  const byHand = madeDue > 0 ? `, ${madeDue} deliveries made due by an UPDATE at the end` : ''
  const committed = new Map(events.map((event) => [eventIdOf(event), event.committedAt]))
  const delays = endpoints.flatMap((endpoint) =>
    endpoint.requests.flatMap(({ headers, acceptedAt }) => {
      const committedAt = committed.get(String(headers['webhook-id']))
      return acceptedAt !== undefined && committedAt ? [acceptedAt - committedAt] : []
    }),
  )
  const times = delays.length > 0 ? `, half of them within ${seconds(median(delays))} of the commit` : ''
  return `${requests.length} requests to ${endpoints.length} endpoints, ${accepted} accepted${times}${byHand}`
}

/** Returns the costs of the faults as a Markdown table. */
function table(run: Run): string {
  const costs = Map.groupBy(costsOf(run), ({ fault }) => fault)
  const rows = [...Map.groupBy(run.faultRuns, ({ fault }) => fault)].map(([fault, all]) =>
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

/** Returns the alerts that fired as a Markdown table, each with the faults that had begun in the time before it. */
function alertTable({ alerts, faultRuns, from }: Run): string {
  if (!alerts) return ''
  if (alerts.length === 0) return 'No alert fired.'
  const rows = alerts
    .toSorted((one, other) => one.fromMs - other.fromMs)
    .map(({ name, labels, fromMs, toMs }) => {
      const before = faultRuns.filter((run) => run.from <= fromMs && run.recoveredAt >= fromMs - ALERT_DELAY_MS)
      const cells = [name, inline(labels), seconds(fromMs - from), seconds(toMs - fromMs)]
      return `| ${[...cells, before.map(({ fault }) => fault).join(', ')].join(' | ')} |`
    })
  return ['| Alert | Labels | At | Lasted | Faults until then |', '| --- | --- | ---: | ---: | --- |', ...rows].join(
    '\n',
  )
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

/** Returns everything that is known of one payment, in the order of time. */
function historyOf(facts: Facts, paymentId: string): string {
  const row = facts.payments.find(({ id }) => id === paymentId)
  const request = facts.paymentRequests.find(
    (one) => idOf(one) === paymentId || (row && referenceOf(one) === referenceOf(row)),
  )
  const own = <Item extends { paymentId: string }>(items: readonly Item[]) =>
    items.filter((item) => item.paymentId === paymentId)
  const ofKey = <Item extends { key: string }>(items: readonly Item[]) => items.filter(({ key }) => key === paymentId)
  const moment = (at: number, what: string) => ({ at, what })
  const moments = [
    ...(request?.answers ?? []).map(({ at, status }) => moment(at, `its client was answered with ${status}`)),
    ...(request?.views ?? []).map(({ at, status, payment }) =>
      moment(at, `its client saw ${payment?.status ?? status}`),
    ),
    ...(request?.cancels ?? []).map(({ at, status }) => moment(at, `its client's cancel was answered with ${status}`)),
    ...own(facts.events).map((event) => moment(event.committedAt ?? 0, `event ${event.sequence}, ${event.type}`)),
    ...ofKey(facts.requests)
      .filter(({ method }) => method === 'GET')
      .map(({ beganAt }) => moment(beganAt, 'the provider was asked for its charge')),
    ...ofKey(facts.letters).map(({ diedAt, topic, source, reason, resolved }) =>
      moment(diedAt, `dead letter of the ${source}, ${topic}: ${reason}${resolved ? ' (resolved)' : ''}`),
    ),
    ...ofKey(facts.charges).map(({ beganAt, amountMinor, currency, moved }) =>
      moment(beganAt, `asked to charge ${amountMinor} ${currency}, ${moved ? 'charged' : 'not charged'}`),
    ),
    ...own(facts.sightings).map(({ at, topic, messageId }) => moment(at, `observed ${topic}, message ${messageId}`)),
  ]
  const state = row
    ? `${row.status}${row.parked ? ', parked' : ''}, ${row.attempts} attempts, reference ${row.reference}`
    : 'no such payment'
  const responses = ofKey(facts.responses).map(({ verdict }) => verdict)
  return [
    `  final state: ${state}; the provider answered: ${responses.join(', ') || 'nothing'}`,
    ...moments
      .toSorted((one, other) => one.at - other.at)
      .map(({ at, what }) => `  ${new Date(at).toISOString()}  ${what}`),
  ].join('\n')
}

function tally(values: readonly string[]): Record<string, number> {
  return Object.fromEntries([...Map.groupBy(values, (value) => value)].map(([value, all]) => [value, all.length]))
}

function inline(counts: Readonly<Record<string, number | string>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}
