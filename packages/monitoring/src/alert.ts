/** An alert of Prometheus. */
export interface Alert {
  readonly name: string
  /** `page` wakes an operator now, `ticket` waits for working hours. */
  readonly severity: 'page' | 'ticket'
  /** Distinguishes alerts of one name. */
  readonly window?: string
  readonly expr: string
  /** Time for which `expr` has to hold before the alert fires, in seconds. */
  readonly forSeconds: number
  /** One line, with Prometheus's templates. */
  readonly summary: string
}
