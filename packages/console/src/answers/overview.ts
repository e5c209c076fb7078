import type { WaitingFor } from './payments.ts'

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
  readonly component: 'relay' | 'worker'
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

/** The body of `POST /api/pauses/:component` and `POST /api/pauses/:component/resume`. Answers `{}`, or 409. */
export interface PauseBody {
  readonly reason: string
  /** Length of the pause in milliseconds. Without it, it has no end. */
  readonly for_ms?: number
}
