import { breaker, buildInfo, facts, paused, up } from './healthy.ts'
import type { Firing } from './promtool.ts'

/** A fault that begins at minute 5, in samples of 15 seconds, and what its alert says. */
export interface Fault {
  readonly alert: string
  readonly series: Readonly<Record<string, string>>
  /** Minutes at which the alert does not fire yet. */
  readonly quietAt: string
  readonly firesAt: string
  readonly firing: readonly Firing[]
}

const TOPIC = ',topic="payment.created"'
const page = (labels: Record<string, string>, summary: string): Firing[] => [
  { labels: { severity: 'page', ...labels }, summary },
]
const ticket = (labels: Record<string, string>, summary: string): Firing[] => [
  { labels: { severity: 'ticket', ...labels }, summary },
]
/** Samples until minute 5, then those of the fault. */
const then = (before: number, fault: string) => `${before}+0x19 ${fault}`

export const FAULTS: readonly Fault[] = [
  {
    alert: 'CashflowOutboxLag',
    series: facts('outbox_lag_seconds', then(1, '2+15x60'), TOPIC),
    quietAt: '5m15s',
    firesAt: '5m45s',
    firing: page({ topic: 'payment.created' }, 'the oldest message of payment.created has waited 47s in the outbox'),
  },
  {
    alert: 'CashflowBacklogGrows',
    series: facts('outbox_messages', then(40, '1000+50x160'), TOPIC),
    quietAt: '15m',
    firesAt: '25m',
    firing: ticket({ topic: 'payment.created' }, 'the backlog of payment.created has grown for 15m'),
  },
  {
    alert: 'CashflowBacklogGrows',
    series: {
      ...facts('outbox_messages', then(40, '10000+0x160'), TOPIC),
      ...facts('outbox_messages_capped', then(0, '1+0x160'), TOPIC),
    },
    quietAt: '15m',
    firesAt: '30m',
    firing: ticket({ topic: 'payment.created' }, 'the backlog of payment.created has grown for 15m'),
  },
  {
    alert: 'CashflowMessagesReturned',
    series: {
      'cashflow_relay_messages_total{job="cashflow-relay",instance="relay-1",outcome="returned"}': then(0, '8+0x160'),
    },
    quietAt: '4m45s',
    firesAt: '5m30s',
    firing: page({}, 'RabbitMQ has no queue for 8 messages'),
  },
  {
    alert: 'CashflowDeadLetters',
    series: facts('dead_letters', then(0, '3+0x160'), ',source="outbox"'),
    quietAt: '4m45s',
    firesAt: '5m',
    firing: ticket({ source: 'outbox' }, '3 dead letters of source outbox wait for an operator'),
  },
  {
    alert: 'CashflowPaymentsParked',
    series: facts('payments_parked', then(0, '2+0x160')),
    quietAt: '4m45s',
    firesAt: '5m',
    firing: ticket({}, '2 payments are parked until an operator decides'),
  },
  {
    alert: 'CashflowBrokerBlocked',
    series: { 'cashflow_amqp_blocked_seconds_total{job="cashflow-relay",instance="relay-1"}': then(0, '0+15x160') },
    quietAt: '5m45s',
    firesAt: '6m30s',
    firing: page({ job: 'cashflow-relay', instance: 'relay-1' }, 'RabbitMQ blocks cashflow-relay relay-1'),
  },
  {
    alert: 'CashflowNoConsumer',
    series: { 'cashflow_relay_queue_consumers{job="cashflow-relay",instance="relay-1"}': then(2, '0+0x160') },
    quietAt: '5m45s',
    firesAt: '6m',
    firing: page({}, 'no worker consumes the queue of payments'),
  },
  {
    alert: 'CashflowBreakerOpen',
    series: {
      [breaker('worker-2', 'closed')]: then(1, '0+0x160'),
      // It probes the provider at minute 7.
      [breaker('worker-2', 'open')]: then(0, '1+0x7 0+0x1 1+0x160'),
      [breaker('worker-2', 'half_open')]: then(0, '0+0x7 1+0x1 0+0x160'),
    },
    quietAt: '9m45s',
    firesAt: '10m',
    firing: page(
      { job: 'cashflow-worker', instance: 'worker-2' },
      'worker-2 claims no payment, because the provider does not answer or refuses all',
    ),
  },
  {
    alert: 'CashflowServiceGone',
    series: { [buildInfo('relay-1')]: then(1, 'stale _x160') },
    quietAt: '5m45s',
    firesAt: '6m',
    firing: page({ role: 'relay' }, 'no relay answers Prometheus'),
  },
  {
    alert: 'CashflowServiceGone',
    series: { [buildInfo('worker-1')]: then(1, 'stale _x160'), [buildInfo('worker-2')]: then(1, '1+0x8 stale _x160') },
    quietAt: '8m',
    firesAt: '8m30s',
    firing: page({ role: 'worker' }, 'no worker answers Prometheus'),
  },
  {
    alert: 'CashflowInstanceGone',
    series: facts('instances_lost', then(0, '1+0x160'), ',role="worker"'),
    quietAt: '4m45s',
    firesAt: '5m',
    firing: ticket({ role: 'worker' }, '1 of role worker ended without a clean stop, or froze'),
  },
  {
    alert: 'CashflowNotScraped',
    series: { [up('worker-1')]: then(1, '0+0x160') },
    quietAt: '9m45s',
    firesAt: '10m',
    firing: ticket(
      { job: 'cashflow-worker', instance: 'worker-1' },
      'cashflow-worker worker-1 does not answer Prometheus',
    ),
  },
  {
    alert: 'CashflowDatabaseUnseen',
    series: facts('facts_age_seconds', then(3, '5+15x160')),
    quietAt: '6m45s',
    firesAt: '7m15s',
    firing: page({}, 'no process has read the facts of the database for a minute'),
  },
  {
    alert: 'CashflowNoStandby',
    series: facts('synchronous_standbys', then(1, '0+0x160')),
    quietAt: '5m45s',
    firesAt: '6m',
    firing: page({}, 'PostgreSQL has no synchronous standby, or hides it from the role of the services'),
  },
  {
    alert: 'CashflowNoStandby',
    series: facts('synchronous_standbys', then(1, 'stale _x160')), // As after the grant was revoked.
    quietAt: '5m45s',
    firesAt: '6m15s',
    firing: page({}, 'PostgreSQL has no synchronous standby, or hides it from the role of the services'),
  },
  {
    alert: 'CashflowOldSnapshot',
    series: facts('oldest_xmin_seconds', then(2, '5+15x160')),
    quietAt: '19m45s',
    firesAt: '20m',
    firing: ticket({}, 'PostgreSQL has removed no dead rows for 15m or 1000000 transactions'),
  },
  {
    // A replication slot without a standby has no age in seconds.
    alert: 'CashflowOldSnapshot',
    series: facts('oldest_xmin_transactions', then(20, '0+50000x60')),
    quietAt: '10m',
    firesAt: '10m15s',
    firing: ticket({}, 'PostgreSQL has removed no dead rows for 15m or 1000000 transactions'),
  },
  {
    alert: 'CashflowWebhooksGone',
    series: facts('instances', then(1, '0+0x160'), ',role="webhooks"'),
    quietAt: '5m45s',
    firesAt: '6m',
    firing: page({}, 'no process sends webhooks, and endpoints wait for them'),
  },
  {
    alert: 'CashflowWebhookFanOutLag',
    series: facts('webhook_fan_out_lag_seconds', then(1, '2+15x160')),
    quietAt: '5m15s',
    firesAt: '5m45s',
    firing: page({}, 'an event has waited 47s to become deliveries to webhook endpoints'),
  },
  {
    alert: 'CashflowWebhooksLate',
    series: facts('webhook_overdue_seconds', then(1, '2+15x160')),
    quietAt: '6m45s',
    firesAt: '7m15s',
    firing: ticket({}, 'a delivery to an endpoint that answers has been due for 2m 17s'),
  },
  {
    alert: 'CashflowWebhookEndpointDisabled',
    series: facts('webhook_endpoints_disabled_lately', then(0, '1+0x160'), ',reason="failing"'),
    quietAt: '4m45s',
    firesAt: '5m',
    firing: ticket({ reason: 'failing' }, '1 webhook endpoints were disabled in the last day: failing'),
  },
  {
    alert: 'CashflowPausedForLong',
    series: { [paused('worker')]: then(0, '1+0x400') },
    quietAt: '64m',
    firesAt: '65m',
    firing: page({ component: 'worker' }, 'the workers have been paused for 1h'),
  },
]
