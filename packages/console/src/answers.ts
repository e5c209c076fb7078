/**
 * What the console's server answers, as JSON. Times are ISO 8601 in UTC. Amounts are decimal text, such as `100.50`: no
 * number of JSON holds every amount. An answer other than 2xx is `{ "error": text }`, for the operator to read.
 */

export type Role = 'read' | 'operate'

/** `GET /api/me` */
export interface Me {
  /** The operator's name, as the audit log has it. */
  readonly name: string
  readonly role: Role
  readonly sandbox: boolean
  readonly version: string
  /** The end of the login. */
  readonly expires_at: string
}

export type ServiceRole = 'api' | 'relay' | 'worker' | 'webhooks'

/** `late`: no heartbeat for over 5 seconds. `gone`: none for over 10 seconds. */
export type InstanceState = 'up' | 'late' | 'gone' | 'paused'

export interface InstanceAnswer {
  readonly id: string
  readonly role: ServiceRole
  /** Host and process id. */
  readonly instance: string
  readonly version: string
  readonly started_at: string
  /** Time since its last heartbeat, in milliseconds. */
  readonly seen_ms_ago: number
  readonly state: InstanceState
  /** True if another process of its role was started after it had gone. */
  readonly replaced: boolean
}

/** A value with its threshold, as `cashflow status` prints it. */
export interface StatusRow {
  readonly section: string
  readonly label: string
  readonly value: string
  /** Which threshold the value is over, and what it means. Null if it is over none. */
  readonly over: string | null
}

export interface PauseAnswer {
  readonly component: 'relay' | 'worker' | 'webhooks'
  readonly reason: string
  readonly paused_by: string
  readonly paused_at: string
  readonly until: string | null
}

/** The event `overview` of `GET /api/live`, once a second. A part is null if PostgreSQL could not read it. */
export interface Overview {
  readonly at: string
  /** Per second, over the last seconds. Null before the second look. */
  readonly rates: {
    readonly created: number
    readonly published: number
    readonly delivered: number
    readonly settled: number
    readonly redriven: number
    readonly webhooks: number
  } | null
  readonly rows: readonly StatusRow[]
  readonly instances: readonly InstanceAnswer[] | null
  readonly pauses: readonly PauseAnswer[] | null
  readonly outbox:
    | readonly {
        readonly topic: string
        readonly messages: number
        readonly capped: boolean
        readonly lag_ms: number
      }[]
    | null
  /** Ready messages by queue. */
  readonly queues: Readonly<Record<string, number>>
  readonly dead_letters: readonly { readonly source: string; readonly letters: number }[] | null
  readonly pending: {
    /** 10,001 means more than 10,000. */
    readonly payments: number
    readonly parked: number
    readonly oldest_ms: number
    readonly overdue_ms: number
    /** Of the 1,000 payments whose redrive is earliest. */
    readonly by_waiting_for: Readonly<Partial<Record<WaitingFor, number>>>
  } | null
  readonly webhooks: {
    readonly endpoints: number
    readonly overdue_ms: number
    readonly fan_out_lag_ms: number
  } | null
}

export const CHART_RANGES = ['5m', '1h', '24h'] as const
export type ChartRange = (typeof CHART_RANGES)[number]

/**
 * `GET /api/charts?range=5m`: points of equal width, the oldest first. Each array has one number for each point, null where no
 * slot was stored.
 */
export interface Charts {
  readonly range: ChartRange
  /** The beginning of each point, in seconds since 1970. */
  readonly at: readonly number[]
  /** Width of a point, in seconds. */
  readonly step_s: number
  /** Payments a second. */
  readonly created: readonly (number | null)[]
  readonly settled: readonly (number | null)[]
  /** From creation to settlement, in milliseconds, of the payments that were settled in the point. */
  readonly p50_ms: readonly (number | null)[]
  readonly p99_ms: readonly (number | null)[]
  /** Messages in the outbox, and the age of the oldest one in milliseconds. */
  readonly backlog: readonly (number | null)[]
  readonly lag_ms: readonly (number | null)[]
  /** Ready messages in the queue of the workers. */
  readonly queue: readonly (number | null)[]
}

export const STATUSES = ['PENDING', 'SUCCESS', 'FAILED'] as const
export const WAITING_FOR = ['queue', 'provider', 'worker', 'retry', 'pending', 'operator'] as const
export type WaitingFor = (typeof WAITING_FOR)[number]

export interface PaymentAnswer {
  readonly id: string
  readonly merchant_id: string
  readonly merchant: string | null
  readonly reference: string
  readonly amount: string
  readonly currency: string
  /** Null for a payment that was pruned. */
  readonly status: (typeof STATUSES)[number] | null
  readonly failure_code: string | null
  readonly waiting_for: WaitingFor | null
  readonly next_action_at: string | null
  readonly created_at: string | null
  readonly settled_at: string | null
}

/**
 * `GET /api/payments?status=&waiting_for=&merchant=&after=&q=`: 50 payments at most. `q` is an id, a reference or an idempotency
 * key. The event `payments` of `GET /api/live?payments` has the unfiltered first page, once a second.
 */
export interface PaymentsAnswer {
  readonly payments: readonly PaymentAnswer[]
  /** The value of `after` for the next page. Null on the last page. */
  readonly next: string | null
  /** What the operator has to know about the list, such as that only 10,000 payments were looked at. */
  readonly notes: readonly string[]
}

export interface TimelineAnswer {
  readonly at: string
  /** Time since the entry before, in milliseconds. */
  readonly after_ms: number | null
  readonly what: string
  readonly by: string | null
  readonly facts: Readonly<Record<string, unknown>>
}

/** `GET /api/payments/:id` */
export interface PaymentPageAnswer {
  readonly payment: PaymentAnswer & {
    readonly metadata: Readonly<Record<string, string>> | null
    readonly idempotency_key: string | null
  }
  readonly attempts: number
  readonly refusals: number
  readonly redrives: number
  readonly timeline: readonly TimelineAnswer[]
  /** What it waits for now, in sentences. Empty if it is settled. */
  readonly waits: readonly string[]
  readonly not_recorded: readonly string[]
  /** What `cashflow verify` finds wrong with it. */
  readonly findings: readonly string[]
  /** The unresolved dead letter of the payment, for requeue and discard. */
  readonly dead_letter: string | null
  readonly can: { readonly settle: boolean; readonly redrive: boolean }
  readonly now: string
}

export interface DeadLetterAnswer {
  readonly id: string
  readonly source: string
  readonly topic: string
  /** The id of the payment, for most sources. */
  readonly key: string
  readonly attempts: number
  readonly died_at: string
  readonly reason: string
}

/** `GET /api/dead-letters?source=&topic=&containing=&over_ms=`: the oldest first, 200 at most. */
export interface DeadLettersAnswer {
  readonly letters: readonly DeadLetterAnswer[]
  readonly more: boolean
  readonly notes: readonly string[]
}

/** `GET /api/dead-letters/:id` */
export interface DeadLetterPageAnswer extends DeadLetterAnswer {
  readonly message_id: string
  readonly created_at: string
  readonly resolution: string | null
  readonly resolved_at: string | null
  readonly payload: unknown
  readonly headers: unknown
  readonly acts: readonly ActAnswer[]
}

export interface DeadLetterFilter {
  readonly source?: string
  readonly topic?: string
  readonly containing?: string
  readonly over_ms?: number
}

/** `POST /api/dead-letters/select` with a filter: the dry run of an act on all that it selects. */
export interface SelectionAnswer {
  readonly dead_letters: number
  readonly hash: string
  readonly more: boolean
}

/**
 * The body of `POST /api/dead-letters/requeue` and `/discard`: ids, or the filter of a dry run with its hash. Answers
 * `ResolvedAnswer`, or 409 if the filter selects others by now.
 */
export type ResolveBody = { readonly reason: string } & (
  | { readonly ids: readonly string[] }
  | { readonly filter: DeadLetterFilter; readonly expect: string }
)

export interface ResolvedAnswer {
  readonly results: readonly { readonly id: string; readonly done: boolean; readonly why: string | null }[]
}

/** The body of `POST /api/payments/:id/settle`. Answers `{}`, or 409 with why it was refused. */
export interface SettleBody {
  readonly outcome: 'success' | 'failed'
  readonly failure_code?: string
  readonly reason: string
}

/** The body of `POST /api/payments/:id/redrive`. Answers `{}`, or 409. */
export interface RedriveBody {
  readonly reason: string
}

/** The body of `POST /api/pauses/:component` and `POST /api/pauses/:component/resume`. Answers `{}`, or 409. */
export interface PauseBody {
  readonly reason: string
  /** Length of the pause in milliseconds. Without it, it has no end. */
  readonly for_ms?: number
}

export interface ActAnswer {
  readonly id: string
  readonly at: string
  readonly actor: string
  readonly via: string
  readonly action: string
  readonly target: string
  readonly reason: string | null
  readonly before: unknown
  readonly after: unknown
}

/** `GET /api/audit?target=&actor=&action=&before=`: the newest first, 100 at most. */
export interface AuditAnswer {
  readonly acts: readonly ActAnswer[]
  /** The value of `before` for the next page. */
  readonly next: string | null
  readonly notes: readonly string[]
}
