import { styleText } from 'node:util'
import { type NamedPayment, type Timeline, type TimelineEntry, WAITS_FOR } from '@cashflow/db/operator'
import { formatMoney, isKnownCurrency, type Money } from '@cashflow/domain'
import { ageText, visible } from '@cashflow/runtime'
import { linesOf, tableLines, timeText } from './show.ts'
import { deliveryFields } from './webhooks/deliveries.ts'

/** Characters of a fact that are shown to people. `--json` has all. */
const FACT_MAX = 300

/** All that is stored about a payment, for programs. Names are in snake_case. */
export function timelineJson(named: NamedPayment, timeline: Timeline) {
  const { payment, counts, leaseUntil, redriveAt, entries, messages, deliveries, pauses, notRecorded, findings, now } =
    timeline
  return {
    id: payment.id,
    merchant_id: payment.merchantId,
    merchant: named.merchant,
    reference: payment.reference,
    amount_minor: String(payment.amountMinor),
    currency: payment.currency,
    status: payment.status,
    failure_code: payment.failureCode,
    metadata: payment.metadata && Object.fromEntries(payment.metadata),
    ...counts,
    created_at: payment.createdAt,
    settled_at: payment.settledAt,
    waiting_for: payment.waiting?.for ?? null,
    next_action_at: payment.waiting?.nextActionAt ?? null,
    lease_until: leaseUntil,
    redrive_at: redriveAt,
    timeline: entries.map(({ at, what, by, facts }, index) => ({
      at,
      after_ms: afterMs(entries, index),
      what,
      by,
      facts,
    })),
    messages: messages.map(({ messageId, topic, attempts, createdAt, dueAt, refused }) => ({
      message_id: messageId,
      topic,
      attempts,
      created_at: createdAt,
      due_at: dueAt,
      refused,
    })),
    deliveries: deliveries.map((delivery) => ({ host: delivery.host, ...deliveryFields(delivery) })),
    pauses: pauses.map(({ component, reason, pausedBy, pausedAt, until }) => ({
      component,
      reason,
      paused_by: pausedBy,
      paused_at: pausedAt,
      until,
    })),
    not_recorded: notRecorded,
    findings: findings.map(({ what, expected, found }) => ({ what, expected, found })),
    read_at: now,
  }
}

/** The same for people. */
export function timelineLines(named: NamedPayment, timeline: Timeline): string[] {
  const { payment, counts, entries, notRecorded, findings, now } = timeline
  const { status, failureCode, metadata } = payment
  const facts = {
    id: payment.id,
    reference: payment.reference,
    merchant: `${named.merchant ?? '(no row)'} ${payment.merchantId}`,
    amount: amountText(payment),
    status: failureCode === null ? status : `${status} ${failureCode}`,
    ...(metadata && { metadata: cut(JSON.stringify(Object.fromEntries(metadata))) }),
    ...(counts.attempts > 0 && { attempts: counts.attempts }),
    ...(counts.refusals > 0 && { refusals: counts.refusals }),
    ...(counts.redrives > 0 && { redrives: counts.redrives }),
    created_at: payment.createdAt,
    ...(payment.settledAt && { settled_at: payment.settledAt }),
  }
  const head = ['time', 'after', 'what', 'by', 'facts'].map((name) => styleText('bold', name))
  const rows = entries.map((entry, index) => rowOf(entry, afterMs(entries, index)))
  return [
    ...linesOf(facts, { json: false, now }),
    ...findingsLines(payment.id, findings),
    '',
    ...tableLines([head, ...rows]),
    ...notRecorded.map((what) => styleText('gray', `not recorded: ${what}`)),
    ...(payment.waiting ? ['', ...waitingLines(timeline)] : []),
    ...deliveryLines(timeline),
  ]
}

function findingsLines(id: string, findings: Timeline['findings']): string[] {
  if (findings.length === 0) return []
  const what = cut(findings.map((finding) => finding.what).join(', '))
  return [styleText('red', `Row, events and hashes do not agree: ${what}. Run: cashflow verify ${id}`)]
}

export function amountText({ amountMinor, currency }: Money): string {
  if (!isKnownCurrency(currency)) return `${amountMinor} minor units of ${currency}`
  return `${formatMoney({ amountMinor, currency })} ${currency}`
}

/** Time since the entry before, in milliseconds. Null for the first one, and where a time has no date. */
function afterMs(entries: readonly TimelineEntry[], index: number): number | null {
  const [before, entry] = [entries[index - 1], entries[index]]
  const ms = before && entry ? Number(entry.at) - Number(before.at) : Number.NaN
  return Number.isFinite(ms) ? ms : null
}

const COLOURS = {
  'payment.succeeded': 'green',
  'payment.failed': 'red',
  'dead letter': 'red',
  parked: 'red',
  unanswered: 'yellow',
  expired: 'yellow',
  'webhook delivered': 'green',
  'webhook failed': 'yellow',
} as const

function rowOf({ at, what, by, facts }: TimelineEntry, ms: number | null): string[] {
  const colour = COLOURS[what as keyof typeof COLOURS]
  return [
    timeText(at),
    ms === null ? '' : `+${ageText(ms)}`,
    colour ? styleText(colour, visible(what)) : visible(what),
    visible(by ?? '-'),
    factsText(facts),
  ]
}

function factsText(facts: Readonly<Record<string, unknown>>): string {
  return Object.entries(facts)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => {
      const text = typeof value === 'string' ? value : JSON.stringify(value)
      return `${styleText('gray', `${visible(name)}=`)}${cut(/^\S+$/.test(text) ? text : JSON.stringify(value))}`
    })
    .join(' ')
}

function cut(text: string): string {
  return visible(text.length <= FACT_MAX ? text : `${text.slice(0, FACT_MAX).toWellFormed()}…`)
}

/** What a PENDING payment waits for, and what delays it. */
function waitingLines({ payment, leaseUntil, redriveAt, messages, pauses, now }: Timeline): string[] {
  const waiting = payment.waiting
  if (!waiting) return []
  const when = (at: Date) => whenText(at, now)
  const lines = [`${styleText('yellow', 'It waits for')} ${WAITS_FOR[waiting.for]}.`]
  if (waiting.nextActionAt) lines.push(`  next action    ${when(waiting.nextActionAt)}`)
  if (leaseUntil) lines.push(`  lease until    ${when(leaseUntil)}`)
  if (redriveAt) lines.push(`  redriven       ${when(redriveAt)}, if nothing else happens`)
  for (const { component, reason, until } of pauses)
    lines.push(
      `  ${styleText('yellow', `${component}s paused`)}  ${until ? `until ${when(until)}` : 'without an end'}: ${visible(reason)}`,
    )
  for (const { topic, createdAt, dueAt, refused } of messages) {
    const place = refused
      ? 'RabbitMQ refused its topic'
      : dueAt
        ? `scheduled for ${when(dueAt)}`
        : 'a relay has to publish it'
    lines.push(`  message        ${visible(topic)} of ${when(createdAt)}: ${place}`)
  }
  if (messages.length === 0 && waiting.for !== 'operator')
    lines.push('  message        none in the outbox: RabbitMQ or a worker has it, or it was lost')
  return lines
}

function whenText(at: Date, now: Date): string {
  const ms = Number(at) - now.getTime()
  if (!Number.isFinite(ms)) return timeText(at)
  return `${at.toISOString()} (${ms < 0 ? `${ageText(-ms)} ago` : `in ${ageText(ms)}`})`
}

/** The deliveries that are not succeeded. What succeeded is an entry of the table. */
function deliveryLines({ deliveries, now }: Timeline): string[] {
  const open = deliveries.filter(({ status, host }) => status !== 'succeeded' && host !== null)
  if (open.length === 0) return []
  const lines = open.map(({ sequence, host, status, attempts, nextAttemptAt, isEnabled }) => {
    const name = `  webhook of event ${sequence} to ${visible(host ?? '')}`
    if (status === 'expired') return `${name}: expired after ${attempts} failed attempts`
    const failed = attempts === 0 ? '' : `, after ${attempts} failed attempts`
    if (!isEnabled) return `${name}: waits until the endpoint is enabled${failed}`
    if (status === 'waiting') return `${name}: waits for the webhook of an earlier event`
    return `${name}: next attempt ${nextAttemptAt ? whenText(nextAttemptAt, now) : 'unknown'}${failed}`
  })
  return ['', styleText('yellow', 'Webhooks that are not delivered:'), ...lines]
}
