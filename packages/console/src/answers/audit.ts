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
