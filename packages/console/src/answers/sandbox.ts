/**
 * The sandbox of `npm start`: only its api has these routes, and `Me` says so with `sandbox_panel`. What an operator breaks or
 * starts there is no act on a payment: the output of `npm start` has a line about it, and the audit log has none.
 */

export type FaultPart = 'worker' | 'relay' | 'rabbitmq' | 'postgresql'
export type FaultKind = `${'kill' | 'freeze'}-${FaultPart}`

/**
 * `GET /api/sandbox`, and the answer to every change. Changes are answered with 409 if they do not fit what is in progress, with
 * 422 for a wrong body, and with 503 if `npm start` does not answer.
 */
export interface SandboxAnswer {
  /** Why no payments can be made, to be shown. Null if they can. */
  readonly obstacle: string | null
  readonly run: SandboxRun | null
  readonly counter: SandboxCounter
  /** Faults in progress, one at most for each part. */
  readonly faults: readonly SandboxFault[]
  /** The faults that are possible. A server that `npm start` did not start cannot be broken. */
  readonly kinds: readonly FaultKind[]
  /** Values that `simulate` may have. */
  readonly simulations: readonly string[]
  /** False with another provider than the simulated one: then no charge is known, and `doubled` counts references only. */
  readonly charges_known: boolean
}

/** A run in progress. */
export interface SandboxRun {
  /** The references of its payments are `sandbox-<id>-<number>`. */
  readonly id: string
  readonly rate: number
  readonly amount_min: string
  readonly amount_max: string
  readonly currency: string
  readonly simulate: string | null
  readonly seconds: number
  readonly started_at: string
  readonly ends_at: string
  /** Payments that were sent so far. Less than the rate says, if 100 wait for answers. */
  readonly sent: number
  /** Those without an answer yet. The run ends after the last answer. */
  readonly in_flight: number
}

/** Counts since `since`, of all runs. */
export interface SandboxCounter {
  /** Payments that were answered with 201. */
  readonly accepted: number
  readonly settled: number
  /** Accepted, and neither settled nor lost. */
  readonly waiting: number
  /**
   * Accepted, and without a row in `payments`; or not settled 60 s after the last fault ended, and 60 s after it was accepted. A
   * payment in a backlog is not lost while older ones are settled. With `simulate` `timeout`, which is never settled by itself, a
   * payment is lost only without a row. The number falls again when a payment is settled after all.
   */
  readonly lost: number
  /** References with two payments, and payments charged under two keys or with two outcomes. */
  readonly doubled: number
  /** Payments that the api has refused. */
  readonly refused: number
  /** Payments about which no attempt was answered. They may exist. */
  readonly unanswered: number
  /** Records that could not be read. Above 0, the other numbers may be too low. */
  readonly unreadable: number
  readonly since: string
  /** Time of the last look at what was answered, at what was charged, and at PostgreSQL. There is one each second. */
  readonly as_of: string
  /** Why the numbers are as old as `as_of`. Null if they are not. */
  readonly stale: string | null
}

export interface SandboxFault {
  readonly kind: FaultKind
  readonly started_at: string
  /** Null for a kill: it ends when the process runs again. */
  readonly ends_at: string | null
}

/** The body of `POST /api/sandbox/payments`. `DELETE` at the same path stops the run. */
export interface SandboxRunBody {
  /** Payments a second, 1 to 200. */
  readonly rate: number
  readonly amount_min: string
  readonly amount_max: string
  readonly currency: string
  readonly simulate: string | null
  /** 1 to 600. */
  readonly seconds: number
}

/** The body of `POST /api/sandbox/faults`. `DELETE /api/sandbox/counter`, without a body, begins a new count. */
export interface SandboxFaultBody {
  readonly kind: FaultKind
  /** 1 to 60. Needed for a freeze, and only there. */
  readonly seconds?: number
}
