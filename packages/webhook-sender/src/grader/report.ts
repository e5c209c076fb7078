/** What is checked, in this order. What is wrong comes last, because a receiver may block its sender for it. */
export const CHECK_NAMES = [
  'valid',
  'two_signatures',
  'raw_bytes',
  'large_body',
  'unknown_type',
  'duplicate',
  'simultaneous_duplicates',
  'in_order',
  'out_of_order',
  'forged_signature',
  'empty_secret',
  'missing_signature',
  'empty_signature',
  'unknown_version',
  'changed_body',
  'changed_id',
  'changed_timestamp',
  'stale_timestamp',
  'future_timestamp',
  'valid_again',
  'answer_time',
] as const

export type CheckName = (typeof CHECK_NAMES)[number]

/** What a receiver should do with the last request of a case: accept it with 2xx, or refuse it. */
export type Expected = 'accepted' | 'refused'

/**
 * - `passed`: the receiver did what it should.
 * - `failed`: it did not. `detail` says what is wrong.
 * - `not_shown`: its answers do not show whether it did, or it limits its requests.
 * - `not_tried`: a valid event was not accepted, so a refusal would prove nothing, or the check has ended before.
 */
export type CaseResult = 'passed' | 'failed' | 'not_shown' | 'not_tried'

/** What became of one request. */
export interface CheckedRequest {
  /** Null if there was no answer. */
  readonly status: number | null
  /** One of a fixed set of texts. Null if there was an answer. */
  readonly error: string | null
  /** The answer's header `Webhook-Outcome`. */
  readonly outcome: string | null
  /** The first kilobyte of the answer. */
  readonly answer: string | null
  readonly durationMs: number
}

export interface CheckedCase {
  readonly name: CheckName
  readonly expected: Expected
  readonly result: CaseResult
  /** One sentence or two for the integrator. Null if there is nothing to say. */
  readonly detail: string | null
  /** In the order in which they were sent. */
  readonly requests: readonly CheckedRequest[]
}

export interface ReceiverReport {
  /** `incomplete`: nothing failed, and not all was tried and shown. */
  readonly result: 'passed' | 'failed' | 'incomplete'
  /** Duration of the slowest request, in milliseconds, also of one that was refused. Null if none was sent. */
  readonly slowestMs: number | null
  readonly cases: readonly CheckedCase[]
}

/** @param cases in the order in which they were tried */
export function reportOf(cases: readonly CheckedCase[]): ReceiverReport {
  const results = new Set(cases.map(({ result }) => result))
  const durations = cases.flatMap(({ requests }) => requests.map(({ durationMs }) => durationMs))
  return {
    result: results.has('failed')
      ? 'failed'
      : results.has('not_tried') || results.has('not_shown')
        ? 'incomplete'
        : 'passed',
    slowestMs: durations.length === 0 ? null : Math.max(...durations),
    cases,
  }
}

/** The report as it is stored and shown, for `JSON.stringify`. */
export function reportJson({ result, slowestMs, cases }: ReceiverReport) {
  return {
    result,
    slowest_ms: slowestMs,
    cases: cases.map(({ requests, ...shown }) => ({
      ...shown,
      requests: requests.map(({ durationMs, ...request }) => ({ ...request, duration_ms: durationMs })),
    })),
  }
}
