import type { ActAnswer } from './audit.ts'

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
