import type { BurnRate } from '@cashflow/runtime'
import type { Alert } from './alert.ts'
import { duration } from './duration.ts'
import { type Limits, limitsOf } from './limits.ts'
import { METRICS as M } from './metrics.ts'
import { webhookAlerts } from './webhook-alerts.ts'

/**
 * Series that are recorded once a minute. Each sample counts the payments of a minute, so the sum of an hour's samples
 * counts the payments of an hour. Each process counts all payments since its own start, and these series survive it.
 */
const RECORDS = {
  created: 'cashflow:payments_created:minute',
  settledInTime: 'cashflow:payments_settled_in_time:minute',
} as const

export function createRecords(T: Limits): { record: string; expr: string }[] {
  // Two minutes, so that a scrape a minute is enough.
  const lastMinute = (counter: string) => `max(increase(${counter}[${duration(2 * T.recordSeconds)}])) / 2`
  return [
    { record: RECORDS.created, expr: lastMinute(M.created) },
    { record: RECORDS.settledInTime, expr: lastMinute(`${M.settled}{within_seconds="${T.settleWithinSeconds}"}`) },
  ]
}

export function createAlerts(T = limitsOf(1)): Alert[] {
  return [
    ...T.burnRates.map((rate) => burnAlert(rate, T)),
    ...outboxAlerts(T),
    ...deadLetterAlerts(T),
    ...brokerAlerts(T),
    ...serviceAlerts(T),
    ...webhookAlerts(T),
  ]
}

/** Fires when both windows burn the budget, no pause explains it, and it is no trouble of single payments. */
function burnAlert({ severity, factor, longSeconds, shortSeconds }: BurnRate, T: Limits): Alert {
  const lateShare = factor * T.lateShareMax
  const [settled, created] = [RECORDS.settledInTime, RECORDS.created].map(
    (series) => (seconds: number) => `sum_over_time(${series}[${duration(seconds)}])`,
  ) as [(seconds: number) => string, (seconds: number) => string]
  const late = (seconds: number) => `1 - ${settled(seconds)} / ${created(seconds)} > ${round(lateShare)}`
  return {
    name: 'CashflowPaymentsLate',
    severity,
    window: duration(longSeconds),
    expr: [
      `(${late(longSeconds)})`,
      `and (${late(shortSeconds)})`,
      `and (${created(longSeconds)} - ${settled(longSeconds)} >= ${T.latePaymentsMin})`,
      // Payments that a pause made late are created before its end, and counted up to four minutes later.
      unlessPaused('relay|worker', shortSeconds + 2 * T.settleWithinSeconds + 3 * T.recordSeconds),
    ].join('\n'),
    forSeconds: 0,
    summary: `{{ $value | humanizePercentage }} of the payments of ${duration(longSeconds)} were not settled within ${duration(T.settleWithinSeconds)}`,
  }
}

function outboxAlerts(T: Limits): Alert[] {
  const backlog = `max by (topic) (${M.backlog})`
  return [
    {
      name: 'CashflowOutboxLag',
      severity: 'page',
      expr: `max by (topic) (${M.lag}) > ${T.lagSecondsMax}\n${unlessPaused('relay', T.factsAgeSecondsMax)}`,
      forSeconds: 0,
      summary: 'the oldest message of {{ $labels.topic }} has waited {{ $value | humanizeDuration }} in the outbox',
    },
    {
      name: 'CashflowBacklogGrows',
      severity: 'ticket',
      // A count that has reached its cap grows no further.
      expr: [
        `(${backlog} > ${T.backlogMessagesMax} and deriv((${backlog})[${duration(T.backlogGrowsSeconds)}:${duration(T.sampleSeconds)}]) > 0`,
        `or max by (topic) (${M.backlogCapped}) == 1)`,
        unlessPaused('relay', T.backlogGrowsSeconds),
      ].join('\n'),
      forSeconds: T.backlogGrowsSeconds,
      summary: `the backlog of {{ $labels.topic }} has grown for ${duration(T.backlogGrowsSeconds)}`,
    },
    {
      name: 'CashflowMessagesReturned',
      severity: 'page',
      expr: `sum(increase(${M.messages}{outcome="returned"}[${duration(T.returnedWithinSeconds)}])) > ${T.returnedMessagesMax}`,
      forSeconds: 0,
      summary: 'RabbitMQ has no queue for {{ $value | humanize }} messages',
    },
  ]
}

function deadLetterAlerts(T: Limits): Alert[] {
  return [
    {
      name: 'CashflowDeadLetters',
      severity: 'ticket',
      expr: `max by (source) (${M.deadLetters}) > ${T.deadLettersMax}`,
      forSeconds: 0,
      summary: '{{ $value }} dead letters of source {{ $labels.source }} wait for an operator',
    },
    {
      name: 'CashflowPaymentsParked',
      severity: 'ticket',
      expr: `max(${M.parked}) > ${T.parkedPaymentsMax}`,
      forSeconds: 0,
      summary: '{{ $value }} payments are parked until an operator decides',
    },
  ]
}

function brokerAlerts(T: Limits): Alert[] {
  return [
    {
      name: 'CashflowBrokerBlocked',
      severity: 'page',
      expr: `max by (job, instance) (increase(${M.blockedSeconds}[${duration(2 * T.blockedSecondsMax)}])) > ${T.blockedSecondsMax}`,
      forSeconds: 0,
      summary: 'RabbitMQ blocks {{ $labels.job }} {{ $labels.instance }}',
    },
    {
      name: 'CashflowNoConsumer',
      severity: 'page',
      expr: `max(${M.consumers}) == 0\n${unlessPaused('worker', T.factsAgeSecondsMax)}`,
      forSeconds: T.noConsumerSecondsMax,
      summary: 'no worker consumes the queue of payments',
    },
    {
      name: 'CashflowBreakerOpen',
      severity: 'page',
      expr: `max by (job, instance) (${M.breaker}{state=~"open|half_open"}) == 1`,
      forSeconds: T.breakerOpenSecondsMax,
      summary: '{{ $labels.instance }} claims no payment, because the provider does not answer or refuses all',
    },
  ]
}

function serviceAlerts(T: Limits): Alert[] {
  const gone = ['api', 'relay', 'worker'].map((role) => `absent(${M.buildInfo}{role="${role}"})`)
  return [
    {
      name: 'CashflowServiceGone',
      severity: 'page',
      expr: gone.join('\nor '),
      forSeconds: T.serviceGoneSecondsMax,
      summary: 'no {{ $labels.role }} answers Prometheus',
    },
    {
      name: 'CashflowInstanceGone',
      severity: 'ticket',
      expr: `max by (role) (${M.instancesLost}) > 0`,
      forSeconds: 0,
      summary: '{{ $value }} of role {{ $labels.role }} ended without a clean stop, or froze',
    },
    {
      name: 'CashflowNotScraped',
      severity: 'ticket',
      expr: 'up{job=~"cashflow.*"} == 0',
      forSeconds: T.notScrapedSecondsMax,
      summary: '{{ $labels.job }} {{ $labels.instance }} does not answer Prometheus',
    },
    {
      name: 'CashflowDatabaseUnseen',
      severity: 'page',
      expr: `min(${M.factsAge}) > ${T.factsAgeSecondsMax}\nor absent(${M.factsAge})`,
      forSeconds: T.factsAgeSecondsMax,
      summary: 'no process has read the facts of the database for a minute',
    },
    {
      name: 'CashflowNoStandby',
      severity: 'page',
      // A standby that the role may not see counts as none.
      expr: `max(${M.standbyRequired}) == 1 unless max(${M.standbys}) >= 1`,
      forSeconds: T.noStandbySecondsMax,
      summary: 'PostgreSQL has no synchronous standby, or hides it from the role of the services',
    },
    {
      name: 'CashflowOldSnapshot',
      severity: 'ticket',
      expr: [
        `max(${M.oldestXmin}) > ${T.oldestXminSecondsMax}`,
        `or max(${M.oldestXminTransactions}) > ${T.oldestXminTransactionsMax}`,
      ].join('\n'),
      forSeconds: 0,
      summary: `PostgreSQL has removed no dead rows for ${duration(T.oldestXminSecondsMax)} or ${T.oldestXminTransactionsMax} transactions`,
    },
    {
      name: 'CashflowPausedForLong',
      severity: 'page',
      expr: `max by (component) (${M.paused}) == 1`,
      forSeconds: T.pausedSecondsMax,
      summary: `the {{ $labels.component }}s have been paused for ${duration(T.pausedSecondsMax)}`,
    },
  ]
}

/** Keeps an alert quiet for what an operator's pause explains, now or within these seconds. */
function unlessPaused(components: string, seconds: number): string {
  return `unless on () (max(max_over_time(${M.paused}{component=~"${components}"}[${duration(seconds)}])) == 1)`
}

/** Removes the noise of binary fractions. */
function round(value: number): number {
  return Number(value.toPrecision(12))
}
