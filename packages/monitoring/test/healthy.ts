/** Samples of a running system in which nothing needs an operator, `count` of each series. */
export function healthySeries(count: number): Record<string, string> {
  const always = (value: number) => `${value}+0x${count}`
  const perApiAndRelay = (name: string, value: number, labels = '') => [
    [`${name}{job="cashflow-api",instance="api-1"${labels}}`, always(value)],
    [`${name}{job="cashflow-relay",instance="relay-1"${labels}}`, always(value)],
  ]
  return Object.fromEntries([
    ...['api-1', 'relay-1', 'worker-1', 'worker-2'].flatMap((instance) => [
      [up(instance), always(1)],
      [buildInfo(instance), always(1)],
    ]),
    ...Object.entries(payments(`0+15x${count}`)),
    ...perApiAndRelay('cashflow_db_outbox_messages', 40, ',topic="payment.created"'),
    ...perApiAndRelay('cashflow_db_outbox_messages_capped', 0, ',topic="payment.created"'),
    ...perApiAndRelay('cashflow_db_outbox_lag_seconds', 1, ',topic="payment.created"'),
    ...perApiAndRelay('cashflow_db_payments_parked', 0),
    ...perApiAndRelay('cashflow_db_dead_letters', 0, ',source="outbox"'),
    ...perApiAndRelay('cashflow_db_oldest_xmin_seconds', 2),
    ...perApiAndRelay('cashflow_db_oldest_xmin_transactions', 20),
    ...perApiAndRelay('cashflow_db_standby_required', 1),
    ...perApiAndRelay('cashflow_db_synchronous_standbys', 1),
    ...perApiAndRelay('cashflow_db_webhook_endpoints', 3, ',state="healthy"'),
    ...perApiAndRelay('cashflow_db_webhook_endpoints', 1, ',state="new"'),
    ...perApiAndRelay('cashflow_db_webhook_endpoints', 2, ',state="failing"'),
    ...perApiAndRelay('cashflow_db_webhook_endpoints', 2, ',state="disabled"'),
    ...perApiAndRelay('cashflow_db_webhook_endpoints_disabled_lately', 1, ',reason="requested"'),
    ...perApiAndRelay('cashflow_db_webhook_endpoints_disabled_lately', 0, ',reason="failing"'),
    ...perApiAndRelay('cashflow_db_webhook_overdue_seconds', 1),
    ...perApiAndRelay('cashflow_db_webhook_fan_out_lag_seconds', 1),
    ...perApiAndRelay('cashflow_db_instances', 1, ',role="webhooks"'),
    ...perApiAndRelay('cashflow_db_facts_age_seconds', 3),
    ...perApiAndRelay('cashflow_db_instances_lost', 0, ',role="worker"'),
    ['cashflow_relay_messages_total{job="cashflow-relay",instance="relay-1",outcome="confirmed"}', `0+15x${count}`],
    ['cashflow_relay_messages_total{job="cashflow-relay",instance="relay-1",outcome="returned"}', always(0)],
    ['cashflow_amqp_blocked_seconds_total{job="cashflow-relay",instance="relay-1"}', always(0)],
    ['cashflow_relay_queue_consumers{job="cashflow-relay",instance="relay-1"}', always(2)],
    ...['worker-1', 'worker-2'].flatMap((worker) => [
      [breaker(worker, 'closed'), always(1)],
      [breaker(worker, 'half_open'), always(0)],
      [breaker(worker, 'open'), always(0)],
    ]),
    [paused('relay'), always(0)],
    [paused('worker'), always(0)],
  ])
}

/** The series that says whether a process answers. */
export function up(instance: string): string {
  return `up{job="cashflow-${instance.split('-')[0]}",instance="${instance}"}`
}

/** The series that names the version of a process. */
export function buildInfo(instance: string): string {
  const role = instance.split('-')[0]
  return `cashflow_build_info{job="cashflow-${role}",instance="${instance}",role="${role}",version="1.0.0"}`
}

/** The series that says whether a worker's breaker is in a state. */
export function breaker(instance: string, state: 'closed' | 'open' | 'half_open'): string {
  return `cashflow_worker_breaker_state{job="cashflow-worker",instance="${instance}",state="${state}"}`
}

/** Counters of payments: created, and settled in time. */
export function payments(created: string, settled = created): Record<string, string> {
  return {
    ...facts('payments_created_total', created),
    ...facts('payments_settled_total', settled, ',within_seconds="60"'),
  }
}

/** The series that says whether a component is paused, as a worker exports it. */
export function paused(component: 'relay' | 'worker'): string {
  return `cashflow_paused{job="cashflow-worker",instance="worker-1",component="${component}"}`
}

/** A fact of the database, as the relay exports it. */
export function fact(name: string, label = ''): string {
  return `cashflow_db_${name}{job="cashflow-relay",instance="relay-1"${label}}`
}

/** A fact of the database, as api and relay both export it. */
export function facts(name: string, values: string, label = ''): Record<string, string> {
  return {
    [`cashflow_db_${name}{job="cashflow-api",instance="api-1"${label}}`]: values,
    [fact(name, label)]: values,
  }
}
