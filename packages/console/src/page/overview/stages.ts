import type { InstanceAnswer, Overview, PauseAnswer, ServiceRole, StatusRow } from '../../answers.ts'
import { countText, rateText } from '../text/digits.ts'
import { durationText } from '../text/durations.ts'

export interface StageFact {
  readonly label: string
  readonly value: string
}

/** A part of the pipeline, as its card shows it. */
export interface Stage {
  readonly name: string
  readonly about: string
  readonly facts: readonly StageFact[]
  /** False if PostgreSQL could not read what the card is about. */
  readonly isKnown: boolean
  /** Null for a part whose processes do not report, such as RabbitMQ. */
  readonly instances: { readonly role: ServiceRole; readonly seen: readonly InstanceAnswer[] } | null
  /** Which of its processes can be paused. */
  readonly component: PauseAnswer['component'] | null
  readonly pause: PauseAnswer | null
  /** What is over its threshold. */
  readonly over: readonly StatusRow[]
}

export interface Stages {
  readonly api: Stage
  readonly outbox: Stage
  readonly broker: Stage
  readonly worker: Stage
  readonly provider: Stage
  readonly webhooks: Stage
}

export const UNKNOWN = '–'
const COUNTED_MAX = 10_000

/** A count that stops at 10,000, then `10,000+`. */
export function cappedText(count: number): string {
  return count > COUNTED_MAX ? `${countText(COUNTED_MAX)}+` : countText(count)
}

/** A rate, or a dash before the second look. */
export function perSecond(rate: number | undefined): string {
  return rate === undefined ? UNKNOWN : `${rateText(rate)}/s`
}

/** The parts of the pipeline. What PostgreSQL could not read is shown as a dash. */
export function stagesOf(overview: Overview): Stages {
  const { rates, outbox, queues, pending, webhooks } = overview
  const lagMs = Math.max(0, ...(outbox ?? []).map(({ lag_ms }) => lag_ms))
  const isCapped = outbox?.some(({ capped }) => capped)
  const messages = sum((outbox ?? []).map((backlog) => backlog.messages))
  const waiting = (name: 'provider' | 'pending' | 'retry') =>
    pending ? countText(pending.by_waiting_for[name] ?? 0) : UNKNOWN
  const ready = Object.values(queues)
  const stage = stageMaker(overview)
  return {
    api: stage('API', 'takes payments', 'api', [
      { label: 'Pending', value: pending ? cappedText(pending.payments) : UNKNOWN },
    ]),
    outbox: stage('Outbox', 'relays publish it', 'relay', [
      { label: 'Messages', value: outbox ? `${countText(messages)}${isCapped ? '+' : ''}` : UNKNOWN },
      { label: 'Lag', value: outbox ? durationText(lagMs) : UNKNOWN },
    ]),
    broker: stage('RabbitMQ', 'queues messages', null, [
      { label: 'Ready', value: ready.length > 0 ? countText(sum(ready)) : UNKNOWN },
    ]),
    worker: stage('Worker', 'settles payments', 'worker', [
      { label: 'Settled', value: perSecond(rates?.settled) },
      { label: 'Redriven', value: perSecond(rates?.redriven) },
      { label: 'To retry', value: waiting('retry') },
    ]),
    provider: stage('Provider', 'moves the money', null, [
      { label: 'Asked', value: waiting('provider') },
      { label: 'Undecided', value: waiting('pending') },
    ]),
    webhooks: stage('Webhooks', 'tell merchants', 'webhooks', [
      { label: 'Endpoints', value: webhooks ? countText(webhooks.endpoints) : UNKNOWN },
      { label: 'Overdue', value: webhooks ? durationText(webhooks.overdue_ms) : UNKNOWN },
      { label: 'Fan-out lag', value: webhooks ? durationText(webhooks.fan_out_lag_ms) : UNKNOWN },
    ]),
  }
}

function stageMaker({ rows, instances, pauses }: Overview) {
  return (name: string, about: string, role: ServiceRole | null, facts: readonly StageFact[]): Stage => {
    const component = role === 'relay' || role === 'worker' ? role : null
    return {
      ...{ name, about, facts, component },
      isKnown: role ? instances !== null : facts.some(({ value }) => value !== UNKNOWN),
      instances: role && instances ? { role, seen: instances.filter((instance) => instance.role === role) } : null,
      pause: pauses?.find((pause) => pause.component === component) ?? null,
      over: rows.filter((row) => row.over !== null && stageOf(row) === name),
    }
  }
}

const STAGE_OF_SECTION: Readonly<Record<string, string>> = {
  outbox: 'Outbox',
  queues: 'RabbitMQ',
  payments: 'Provider',
  webhooks: 'Webhooks',
}
const STAGE_OF_ROLE: Readonly<Record<string, string>> = {
  api: 'API',
  relay: 'Outbox',
  worker: 'Worker',
  webhooks: 'Webhooks',
}

const STAGE_OF_SOURCE: Readonly<Record<string, string>> = { outbox: 'Outbox', queue: 'RabbitMQ' }

/** Sections of rows that are about one kind of process, with its role as their label. */
const SECTIONS_OF_ROLES = ['instances', 'pauses']

/** The part of the pipeline that a row is about. Undefined for rows about the database. */
function stageOf({ section, label }: StatusRow): string | undefined {
  if (section === 'dead letters') return STAGE_OF_SOURCE[label] ?? 'Worker'
  return SECTIONS_OF_ROLES.includes(section) ? STAGE_OF_ROLE[label] : STAGE_OF_SECTION[section]
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
