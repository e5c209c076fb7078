import { COUNTED_MAX } from '@cashflow/outbox'
import { ageText, redactedErrorMessage, THRESHOLDS } from '@cashflow/runtime'
import { hasEnabledEndpoint } from '../facts/webhooks.ts'
import type { SeenInstance } from '../instances/instances.ts'
import { endText, isGone, replacedOf, replacedText } from './gone.ts'
import { SETTLED_SPAN_MS, type SystemStatus } from './status.ts'
import type { Rates } from './status-rates.ts'

/** A line of the status. */
export interface Row {
  readonly section: string
  readonly label: string
  readonly value: string
  /** Which threshold of the alerts the value is over, and what it means. */
  readonly over?: string | undefined
}

/** A look at the system, and the rates since an earlier look. */
export interface Look {
  readonly status: SystemStatus
  readonly rates: Rates | undefined
}

const ROLES = ['api', 'relay', 'worker', 'webhooks'] as const
const T = THRESHOLDS

/** The lines of the status, in the order of the sections. A pause keeps those quiet that it explains, as with alerts. */
export function rowsOf({ status, rates }: Look): Row[] {
  return [
    ...rateRows(rates),
    ...paymentRows(status),
    ...outboxRows(status),
    ...queueRows(status.instances),
    ...letterRows(status),
    ...webhookRows(status),
    ...pauseRows(status),
    ...instanceRows(status),
    ...databaseRows(status),
    ...[...status.unread].map(([part, error]) => ({
      section: 'not read',
      label: part,
      value: redactedErrorMessage(error),
      over: 'PostgreSQL cannot read it',
    })),
  ]
}

const count = (number: number) => (number > COUNTED_MAX ? `over ${COUNTED_MAX}` : String(number))
const isPaused = ({ pauses }: SystemStatus, component: string) =>
  pauses?.some((pause) => pause.component === component && pause.isInForce) ?? false

function rateRows(rates: Rates | undefined): Row[] {
  return Object.entries(rates ?? {}).map(([label, rate]) => ({
    section: 'rates',
    label,
    value: `${rate.toFixed(1)} a second`,
  }))
}

function paymentRows(status: SystemStatus): Row[] {
  const { pending } = status
  const row = (label: string, value: string, over?: string | false): Row => ({
    ...{ section: 'payments', label, value },
    over: over || undefined,
  })
  const counts = (entries: Iterable<readonly [string, number]>) =>
    [...entries].map(([name, payments]) => `${name} ${payments}`).join(', ') || '-'
  return [
    ...(pending
      ? [
          row('pending', count(pending.pending)),
          row('waiting for', counts(pending.byWaitingFor)),
          row('by age', counts(pending.byAge)),
          row('oldest', ageText(pending.oldestMs)),
          row(
            'parked',
            count(pending.parked),
            pending.parked > T.parkedPaymentsMax && `OVER ${T.parkedPaymentsMax}: they wait for an operator`,
          ),
        ]
      : []),
    ...settledRows(status),
  ]
}

function settledRows(status: SystemStatus): Row[] {
  const { settled } = status
  if (!settled) return []
  const within = (seconds: 1 | 5 | 60) => `${share(settled.settled[seconds], settled.created)} within ${seconds}s`
  const late = settled.created - settled.settled[60]
  const lateMax = T.lateShareMax * (T.burnRates[0]?.factor ?? 1)
  const isLate = late >= T.latePaymentsMin && late / settled.created > lateMax && !isPausedAtAll(status)
  const ended = ageText(Date.now() - settled.toMs)
  return [
    {
      section: 'payments',
      label: 'last minute',
      value: `${count(settled.created)} created in ${ageText(SETTLED_SPAN_MS)} until ${ended} ago, ${within(1)}, ${within(5)}, ${within(60)}`,
      over: isLate
        ? `OVER ${lateMax * 100}% later than ${T.settleWithinSeconds}s: ${late} payments are late`
        : undefined,
    },
  ]
}

const share = (part: number, all: number) => (all === 0 ? '-' : `${((100 * part) / all).toFixed(1)}%`)
const isPausedAtAll = (status: SystemStatus) => isPaused(status, 'relay') || isPaused(status, 'worker')

function outboxRows(status: SystemStatus): Row[] {
  return (status.backlog ?? []).map(({ topic, messages, capped, oldestMs }) => ({
    section: 'outbox',
    label: topic,
    value: `${capped ? 'at least ' : ''}${messages} messages, the oldest ${ageText(oldestMs)}`,
    over:
      oldestMs > T.lagSecondsMax * 1_000 && !isPaused(status, 'relay')
        ? `OVER ${T.lagSecondsMax}s: relays or RabbitMQ are behind`
        : undefined,
  }))
}

/** Each relay reports its queue. The latest report counts. */
export function queueDepths(instances: readonly SeenInstance[] | undefined): Record<string, number> {
  const latestLast = (instances ?? []).filter((instance) => !isGone(instance)).toSorted((a, b) => b.ageMs - a.ageMs)
  return Object.assign({}, ...latestLast.map(({ queueDepths }) => queueDepths ?? {}))
}

function queueRows(instances: readonly SeenInstance[] | undefined): Row[] {
  return Object.entries(queueDepths(instances)).map(([queue, ready]) => ({
    section: 'queues',
    label: queue,
    value: `${ready} ready, without those that workers hold`,
  }))
}

function letterRows({ deadLetters }: SystemStatus): Row[] {
  return (deadLetters ?? []).map(({ source, letters }) => ({
    section: 'dead letters',
    label: source,
    value: count(letters),
    over: letters > T.deadLettersMax ? `OVER ${T.deadLettersMax}: they wait for an operator` : undefined,
  }))
}

function webhookRows({ webhooks }: SystemStatus): Row[] {
  if (!webhooks) return []
  const { endpoints, disabledLately, overdueMs, fanOutLagMs } = webhooks
  const states = Object.entries(endpoints).filter(([, some]) => some > 0)
  if (states.length === 0) return []
  const row = (label: string, value: string, over?: string | false): Row => ({
    ...{ section: 'webhooks', label, value },
    over: over || undefined,
  })
  const late = (ms: number, secondsMax: number) => ms > secondsMax * 1_000 && `OVER ${secondsMax}s: `
  const [overdue, lag] = [late(overdueMs, T.webhookOverdueSecondsMax), late(fanOutLagMs, T.fanOutLagSecondsMax)]
  const disabled = [...disabledLately].map(([reason, some]) => `${count(some)} ${reason}`)
  return [
    row('endpoints', states.map(([state, some]) => `${count(some)} ${state}`).join(', ')),
    ...(disabled.length > 0 ? [row('disabled today', disabled.join(', '))] : []),
    row('oldest due', ageText(overdueMs), overdue && `${overdue}healthy endpoints wait for their webhooks`),
    row('fan-out', `${ageText(fanOutLagMs)} behind`, lag && `${lag}events have not become deliveries`),
  ]
}

function pauseRows({ pauses }: SystemStatus): Row[] {
  return (pauses ?? [])
    .filter(({ isInForce }) => isInForce)
    .map(({ component, reason, pausedBy, pausedAt, leftMs }) => {
      const sinceMs = Date.now() - pausedAt.getTime()
      const end = leftMs === null ? 'without an end' : `for another ${ageText(leftMs)}`
      return {
        section: 'pauses',
        label: component,
        value: `for ${ageText(sinceMs)}, ${end}, by ${pausedBy}: ${reason}`,
        over:
          sinceMs > T.pausedSecondsMax * 1_000 ? `OVER ${ageText(T.pausedSecondsMax * 1_000)}: resume it?` : undefined,
      }
    })
}

function instanceRows({ instances, webhooks }: SystemStatus): Row[] {
  if (!instances) return []
  const isNeeded = (role: string) => role !== 'webhooks' || (webhooks !== undefined && hasEnabledEndpoint(webhooks))
  const replaced = replacedOf(instances)
  return ROLES.flatMap((role) => {
    const own = instances.filter((instance) => instance.role === role)
    const rows = own.map((instance) => ({
      section: 'instances',
      label: role,
      value: replaced.has(instance)
        ? replacedText(instance)
        : `${instance.instance}, version ${instance.version}, started ${instance.startedAt.toISOString()}, seen ${ageText(Math.max(0, instance.ageMs))} ago`,
      over: isGone(instance) && !replaced.has(instance) ? `GONE or frozen. ${endText(instance, instances)}` : undefined,
    }))
    const none = { section: 'instances', label: role, value: 'none', over: `GONE: no ${role} runs` }
    return own.some((instance) => !isGone(instance)) || !isNeeded(role) ? rows : [...rows, none]
  })
}

function databaseRows({ oldestXmin }: SystemStatus): Row[] {
  if (!oldestXmin) return []
  const { ageMs, transactions } = oldestXmin
  const maxMs = T.oldestXminSecondsMax * 1_000
  return [
    {
      section: 'database',
      label: 'oldest snapshot',
      value: `${ageText(ageMs)}, ${transactions} transactions`,
      over:
        ageMs > maxMs || transactions > T.oldestXminTransactionsMax
          ? `OVER ${ageText(maxMs)} or ${T.oldestXminTransactionsMax} transactions: dead rows cannot be removed`
          : undefined,
    },
  ]
}
