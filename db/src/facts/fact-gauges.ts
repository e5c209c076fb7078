import { OUTCOME_TOPICS, WORK_TOPICS } from '@cashflow/domain'
import { COUNTED_MAX, type TopicBacklog } from '@cashflow/outbox'
import type { DatabaseFacts } from './facts.ts'
import { AGES, WAITING_FORS } from './pending.ts'
import { DISABLED_REASONS, ENDPOINT_STATES } from './webhooks.ts'

type Value = readonly [labels: Readonly<Record<string, string>>, value: number]

export interface FactGauge {
  readonly name: string
  readonly help: string
  readonly labels?: readonly string[]
  /** Undefined if PostgreSQL could not read the fact. */
  readonly values: (facts: DatabaseFacts) => readonly Value[] | undefined
}

const TOPICS: readonly string[] = [...WORK_TOPICS, ...OUTCOME_TOPICS]
const SOURCES = ['worker', 'database', 'queue', 'outbox']
const ROLES = ['api', 'relay', 'worker', 'webhooks']
const HEAD = 'of the 1,000 PENDING payments whose redrive_at is earliest'

const isCapped = (count: number) => (count > COUNTED_MAX ? 1 : 0)
const capped = (count: number) => Math.min(count, COUNTED_MAX)
const one = (value: number | undefined) => (value === undefined ? undefined : [[{}, value] as const])

/** A value for each of the known labels, and one for all others together as `other`, if there are any. */
function byLabel(label: string, known: readonly string[], entries: Iterable<readonly [string, number]>, join: Join) {
  const values = new Map(known.map((name) => [name, 0]))
  for (const [name, value] of entries) {
    const shown = known.includes(name) ? name : 'other'
    values.set(shown, join(values.get(shown) ?? 0, value))
  }
  return [...values].map(([name, value]): Value => [{ [label]: name }, value])
}

type Join = (one: number, other: number) => number
const sum: Join = (one, other) => one + other
const max: Join = Math.max

const byTopic = (read: (backlog: TopicBacklog) => number, join: Join) => (facts: DatabaseFacts) =>
  facts.backlog &&
  byLabel(
    'topic',
    TOPICS,
    facts.backlog.map((backlog) => [backlog.topic, read(backlog)]),
    join,
  )

const BACKLOG: readonly FactGauge[] = [
  {
    name: 'cashflow_db_outbox_messages',
    help: 'Unpublished messages of a topic: in a lane, scheduled and due, or refused by the broker; at most 10,000',
    labels: ['topic'],
    values: byTopic(({ messages }) => messages, sum),
  },
  {
    name: 'cashflow_db_outbox_messages_capped',
    help: '1 if a topic may have more unpublished messages than are counted',
    labels: ['topic'],
    values: byTopic((backlog) => Number(backlog.capped), max),
  },
  {
    name: 'cashflow_db_outbox_lag_seconds',
    help: 'Age of the oldest unpublished message of a topic; of a scheduled one since it was due',
    labels: ['topic'],
    values: byTopic(({ oldestMs }) => oldestMs / 1_000, max),
  },
]

const PAYMENTS: readonly FactGauge[] = [
  {
    name: 'cashflow_db_payments_pending',
    help: 'PENDING payments, at most 10,000',
    values: ({ pending }) => one(pending && capped(pending.pending)),
  },
  {
    name: 'cashflow_db_payments_pending_capped',
    help: '1 if there are more PENDING payments than are counted',
    values: ({ pending }) => one(pending && isCapped(pending.pending)),
  },
  {
    name: 'cashflow_db_payments_overdue_seconds',
    help: 'Time since the earliest redrive_at of a PENDING payment; 0 if none is past it',
    values: ({ pending }) => one(pending && pending.overdueMs / 1_000),
  },
  {
    name: 'cashflow_db_payments_pending_oldest_seconds',
    help: `Age of the oldest ${HEAD}, without parked ones`,
    values: ({ pending }) => one(pending && pending.oldestMs / 1_000),
  },
  {
    name: 'cashflow_db_payments_pending_by_waiting_for',
    help: `Number ${HEAD}, by what they wait for`,
    labels: ['waiting_for'],
    values: ({ pending }) => pending && byLabel('waiting_for', WAITING_FORS, pending.byWaitingFor, sum),
  },
  {
    name: 'cashflow_db_payments_pending_by_age',
    help: `Number ${HEAD}, by age, without parked ones`,
    labels: ['age'],
    values: ({ pending }) => pending && byLabel('age', AGES, pending.byAge, sum),
  },
  {
    name: 'cashflow_db_payments_parked',
    help: 'Payments that wait for an operator, at most 10,000',
    values: ({ pending }) => one(pending && capped(pending.parked)),
  },
  {
    name: 'cashflow_db_payments_parked_capped',
    help: '1 if more payments wait for an operator than are counted',
    values: ({ pending }) => one(pending && isCapped(pending.parked)),
  },
]

const OTHERS: readonly FactGauge[] = [
  {
    name: 'cashflow_db_dead_letters',
    help: 'Unresolved dead letters by the component that gave up, at most 10,000 together',
    labels: ['source'],
    values: ({ deadLetters }) =>
      deadLetters &&
      byLabel(
        'source',
        SOURCES,
        deadLetters.map(({ source, letters }) => [source, capped(letters)]),
        sum,
      ),
  },
  {
    name: 'cashflow_db_dead_letters_capped',
    help: '1 if there are more unresolved dead letters than are counted',
    values: ({ deadLetters }) =>
      one(deadLetters && isCapped(deadLetters.reduce((total, { letters }) => total + letters, 0))),
  },
  {
    name: 'cashflow_db_oldest_xmin_seconds',
    help: 'Age of the oldest open transaction with a snapshot, prepared ones too; of other roles only with pg_read_all_stats; never of slots',
    values: ({ oldestXmin }) => one(oldestXmin && oldestXmin.ageMs / 1_000),
  },
  {
    name: 'cashflow_db_oldest_xmin_transactions',
    help: 'Transactions since the oldest snapshot of a session of any role, a standby, a prepared transaction or a replication slot',
    values: ({ oldestXmin }) => one(oldestXmin?.transactions),
  },
  {
    name: 'cashflow_db_synchronous_standbys',
    help: 'Connected standbys that a COMMIT waits for; left out if there are some and the role lacks pg_read_all_stats',
    values: ({ synchronousStandbys }) => one(synchronousStandbys),
  },
  {
    name: 'cashflow_db_standby_required',
    help: '1 if REQUIRE_STANDBY is yes',
    values: ({ standbyRequired }) => one(Number(standbyRequired)),
  },
  {
    name: 'cashflow_db_instances',
    help: 'Processes that wrote their heartbeat in the last 10 seconds',
    labels: ['role'],
    values: ({ instances }) =>
      instances &&
      byLabel(
        'role',
        ROLES,
        instances.map(({ role, running }) => [role, running]),
        sum,
      ),
  },
  {
    name: 'cashflow_db_instances_lost',
    help: 'Processes that wrote a heartbeat in the last 15 minutes, none in the last 30 seconds, and did not stop cleanly',
    labels: ['role'],
    values: ({ instances }) =>
      instances &&
      byLabel(
        'role',
        ROLES,
        instances.map(({ role, lost }) => [role, lost]),
        sum,
      ),
  },
]

const WEBHOOKS: readonly FactGauge[] = [
  {
    name: 'cashflow_db_webhook_endpoints',
    help: 'Webhook endpoints by state, at most 10,000 of each; new has had no attempt, failing gets one attempt at a time',
    labels: ['state'],
    values: ({ webhooks }) =>
      webhooks && ENDPOINT_STATES.map((state) => [{ state }, capped(webhooks.endpoints[state])] as const),
  },
  {
    name: 'cashflow_db_webhook_endpoints_disabled_lately',
    help: 'Webhook endpoints that were disabled in the last 24 hours, by reason, at most 10,000 together',
    labels: ['reason'],
    values: ({ webhooks }) => webhooks && byLabel('reason', DISABLED_REASONS, webhooks.disabledLately, sum),
  },
  {
    name: 'cashflow_db_webhook_overdue_seconds',
    help: 'Time since the oldest delivery to a healthy or new endpoint was due, without replays and endpoints that recover or asked for a pause; of 1,000 of each that are due first',
    values: ({ webhooks }) => one(webhooks && webhooks.overdueMs / 1_000),
  },
  {
    name: 'cashflow_db_webhook_fan_out_lag_seconds',
    help: 'Age of the oldest event that has not become deliveries to the endpoints of its merchant; of 10,000 merchants',
    values: ({ webhooks }) => one(webhooks && webhooks.fanOutLagMs / 1_000),
  },
]

/** The gauges of facts that all processes share. Rules and dashboards take the maximum over the processes, never the sum. */
export const FACT_GAUGES = [...BACKLOG, ...PAYMENTS, ...OTHERS, ...WEBHOOKS]
