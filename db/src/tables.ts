import type { PaymentStatus } from '@cashflow/domain'
import type { OutboxTables } from '@cashflow/outbox'
import type { ColumnType, Generated } from 'kysely'
import type { KeyScope } from './merchants/api-key.ts'
import type { Mode } from './mode.ts'
import type { Pausable } from './pauses/pausable.ts'
import type { WebhookTables } from './webhooks/tables.ts'

export interface PaymentsTable {
  id: string
  merchant_id: string
  reference: string
  /** A bigint, as text. */
  amount_minor: ColumnType<string, string, never>
  currency: string
  status: PaymentStatus
  failure_code: string | null
  /** Null if the merchant gave no pairs. */
  metadata: ColumnType<Readonly<Record<string, string>> | null, unknown, never>
  idempotency_key: string | null
  attempts: Generated<number>
  /** Made by the worker for each claim. A settlement is stored only if the payment still has its claim's token. */
  claim_token: string | null
  lease_until: Date | null
  /** Time at which a payment that is still PENDING is sent through the pipeline again. */
  redrive_at: Date | null
  /** Number of redrives since the last claim. */
  redrives: Generated<number>
  /** Time at which the payment was parked for an operator. */
  parked_at: Date | null
  created_at: Generated<Date>
  settled_at: Date | null
  /** Number of times that the provider refused the payment's form since its last answer, while it answered others. */
  refusals: Generated<number>
  /** Time of the provider's first answer that it has not decided yet. From then on the worker asks for the charge first. */
  provider_pending_since: Date | null
  /** The hash of the payment's last event. Null if an earlier version wrote that event. */
  last_hash: Buffer | null
}

export interface PaymentEventsTable {
  /** A bigint, as text. */
  id: ColumnType<string, never, never>
  xid: ColumnType<string, never, never>
  payment_id: string
  merchant_id: string
  sequence: number
  type: string
  data: ColumnType<unknown, string, never>
  actor: string
  request_id: string | null
  created_at: Generated<Date>
  /** See `eventHash`. Null if an earlier version wrote the event. */
  hash: Buffer | null
  /** How the event came about, for operators. No API shows it. */
  trace: ColumnType<unknown, string | null, never>
}

/** What happened to a PENDING payment, besides its events. */
export interface PaymentAttemptsTable {
  /** A bigint, as text. */
  id: ColumnType<string, never, never>
  payment_id: string
  at: Generated<Date>
  kind: 'unanswered' | 'released' | 'expired' | 'redriven' | 'parked' | 'requeued'
  actor: string
  attempts: number | null
  data: ColumnType<Readonly<Record<string, unknown>>, string, string>
}

/** Each act of an operator. Append-only: a trigger refuses any change. */
export interface OperatorActionsTable {
  /** A bigint, as text. */
  id: ColumnType<string, never, never>
  at: Generated<Date>
  actor: string
  via: string
  action: string
  target: string
  reason: string | null
  before: ColumnType<unknown, string | null, never>
  after: ColumnType<unknown, string | null, never>
}

/** The rest of a payment that an operator has pruned: its reference and its idempotency key stay taken. */
export interface PrunedReferencesTable {
  merchant_id: string
  reference: string
  idempotency_key: string | null
  id: string
  /** A bigint, as text. */
  amount_minor: string
  currency: string
  metadata: Readonly<Record<string, string>> | null
  /** Null if the payment was pruned before payments had idempotency keys. */
  created_at: Date | null
  xid: ColumnType<string, never, never>
  pruned_at: Generated<Date>
}

export interface MerchantsTable {
  id: string
  /** Unique. */
  name: string
  created_at: Generated<Date>
}

export interface ApiKeysTable {
  id: string
  merchant_id: string
  name: string
  secret_hash: Buffer
  pepper_id: string
  scopes: KeyScope[]
  created_at: Generated<Date>
  expires_at: Date | null
  revoked_at: Date | null
  /** Up to a minute and more behind. */
  last_used_at: Date | null
  /** The key that rotation made of this one. */
  replaced_by: string | null
}

/** One row. */
export interface DeploymentTable {
  mode: Mode
  /** 32 bytes, which sign cursors. */
  cursor_secret: Buffer
}

export interface RateLimitsTable {
  key: string
  level: number
  demand: number
  updated_at: ColumnType<Date, never, Date>
}

/** The last pause of each component. */
export interface PausesTable {
  component: Pausable
  reason: string
  paused_by: Generated<string>
  paused_at: Generated<Date>
  /** Null for a pause without an end. */
  paused_until: Date | null
  resumed_at: Date | null
  resumed_by: string | null
  resume_reason: string | null
}

export type InstanceRole = 'api' | 'relay' | 'worker' | 'webhooks'

/** One row for each process. */
export interface InstancesTable {
  id: ColumnType<string, string, never>
  role: InstanceRole
  /** Host and process id. */
  instance: string
  version: string
  started_at: ColumnType<Date, Date, never>
  seen_at: Generated<Date>
  /** Counts since the start, by name. */
  counters: ColumnType<Readonly<Record<string, number>>, string, string>
  /** Ready messages by queue, where the process looks at queues. */
  queue_depths: ColumnType<Readonly<Record<string, number>> | null, string | null, string | null>
}

/** Login tokens of the console that were used. */
export interface ConsoleLoginsTable {
  id: string
  expires_at: Date
}

/** 10 seconds of the console's charts. One row for each slot of a ring of 24 hours. */
export interface ChartSlotsTable {
  slot: number
  /** The start of the 10 seconds. */
  at: Date
  /** Time that the counts cover. It and the counts are null together. */
  span_ms: number | null
  created: number | null
  settled: number | null
  settled_within: number[] | null
  backlog: number | null
  lag_ms: number | null
  queue_depth: number | null
}

/** What processes have counted. */
export interface Tally {
  readonly created: number
  readonly settled: number
  /** Settled payments by the time since their creation: 24 buckets. */
  readonly within: readonly number[]
}

/** What a process had counted at the last sample. */
export interface ChartMarksTable {
  /** The process's id in `instances`. */
  id: string
  marked_at: Date
  counted: ColumnType<Tally, string, string>
}

export interface Tables extends OutboxTables, WebhookTables {
  payments: PaymentsTable
  payment_events: PaymentEventsTable
  pruned_references: PrunedReferencesTable
  simulated_crashes: SimulatedCrashesTable
  merchants: MerchantsTable
  api_keys: ApiKeysTable
  deployment: DeploymentTable
  rate_limits: RateLimitsTable
  pauses: PausesTable
  instances: InstancesTable
  chart_slots: ChartSlotsTable
  chart_marks: ChartMarksTable
  payment_attempts: PaymentAttemptsTable
  operator_actions: OperatorActionsTable
  console_logins: ConsoleLoginsTable
}

/** One row. */
export interface SimulatedCrashesTable {
  /** Time at which a worker last ended its own process, as a payment asked. */
  crashed_at: Date
}
