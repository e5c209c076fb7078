import type { Tables } from '@cashflow/db'
import { merchantNames, readTimeline, type Timeline, WAITS_FOR } from '@cashflow/db/operator'
import { ageText } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import type { PaymentPageAnswer } from '../answers.ts'
import { toPaymentAnswer } from './payment-answer.ts'
import { timeOf } from './request.ts'

/** All that is stored about a payment of any merchant. Undefined if no payment has the id. */
export async function readPaymentPage(db: Kysely<Tables>, id: string): Promise<PaymentPageAnswer | undefined> {
  const timeline = await readTimeline(db, id)
  if (!timeline) return undefined
  const { payment, counts, entries, idempotencyKey, notRecorded, findings, now } = timeline
  const names = await merchantNames(db, [payment.merchantId])
  const waitingFor = payment.waiting?.for
  return {
    payment: {
      ...toPaymentAnswer(payment, names.get(payment.merchantId) ?? null),
      metadata: payment.metadata && Object.fromEntries(payment.metadata),
      idempotency_key: idempotencyKey,
    },
    ...counts,
    timeline: entries.map(({ at, what, by, facts }, index) => ({
      at: timeOf(at),
      after_ms: afterMs(entries[index - 1]?.at, at),
      what,
      by,
      facts,
    })),
    waits: waitsOf(timeline),
    not_recorded: notRecorded,
    findings: findings.map(({ what, expected, found }) => `${what}: expected ${expected}, found ${found}`),
    dead_letter: timeline.deadLetter,
    can: {
      settle: waitingFor !== undefined && waitingFor !== 'provider',
      redrive: waitingFor !== undefined && waitingFor !== 'provider' && waitingFor !== 'operator',
    },
    now: timeOf(now),
  }
}

/** Null for the first entry, and where a time has no date. */
function afterMs(before: Date | undefined, at: Date): number | null {
  const ms = before === undefined ? Number.NaN : Number(at) - Number(before)
  return Number.isFinite(ms) ? ms : null
}

/** What a PENDING payment waits for, and what delays it, in sentences. */
function waitsOf({ payment, leaseUntil, redriveAt, messages, pauses, now }: Timeline): string[] {
  const { waiting } = payment
  if (!waiting) return []
  const when = (at: Date) => whenText(at, now)
  const lines = [`It waits for ${WAITS_FOR[waiting.for]}.`]
  if (waiting.nextActionAt && waiting.for !== 'operator')
    lines.push(`Its next action is ${when(waiting.nextActionAt)}.`)
  if (leaseUntil) lines.push(`The lease of its worker ends ${when(leaseUntil)}.`)
  if (redriveAt) lines.push(`If nothing else happens, it is redriven ${when(redriveAt)}.`)
  for (const { component, reason, pausedBy, until } of pauses)
    lines.push(
      `All ${component}s are paused ${until ? `until ${when(until)}` : 'without an end'} by ${pausedBy}: ${reason}`,
    )
  for (const { topic, createdAt, dueAt, refused } of messages) {
    const place = refused
      ? 'RabbitMQ refused its topic'
      : dueAt
        ? `it is scheduled for ${when(dueAt)}`
        : 'a relay has to publish it'
    lines.push(`A message of the topic ${topic}, stored ${when(createdAt)}, is in the outbox: ${place}.`)
  }
  if (messages.length === 0 && waiting.for !== 'operator')
    lines.push('The outbox has no message of it: RabbitMQ or a worker has the message, or it was lost.')
  return lines
}

function whenText(at: Date, now: Date): string {
  const ms = Number(at) - Number(now)
  if (!Number.isFinite(ms)) return String(at)
  return ms < 0 ? `${ageText(-ms)} ago` : `in ${ageText(ms)}`
}
