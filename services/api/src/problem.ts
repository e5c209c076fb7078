/** Every problem that the API answers with (RFC 9457). A code never changes, because clients rely on it. */
export const PROBLEMS = {
  'bad-request': { status: 400, title: 'Bad request' },
  'validation-error': { status: 400, title: 'The request body is not valid' },
  'not-found': { status: 404, title: 'Not found' },
  'method-not-allowed': { status: 405, title: 'Method not allowed' },
  'request-timeout': { status: 408, title: 'Request timeout' },
  'duplicate-reference': { status: 409, title: 'The reference is taken' },
  'reference-mismatch': { status: 409, title: 'The reference is taken by a different payment' },
  'payload-too-large': { status: 413, title: 'The request body is too large' },
  'unsupported-media-type': { status: 415, title: 'Unsupported media type' },
  'headers-too-large': { status: 431, title: 'The request headers are too large' },
  internal: { status: 500, title: 'Internal error' },
  overloaded: { status: 503, title: 'Too many requests' },
  unavailable: { status: 503, title: 'Temporarily unavailable' },
} as const

export type ProblemCode = keyof typeof PROBLEMS

/** An error in one member of the body. */
export interface MemberError {
  /** A JSON pointer as URI fragment (RFC 6901 §6), such as `#/amount`. `#` is the whole body, or a member with a long name. */
  readonly pointer: string
  readonly detail: string
}

export interface ProblemMembers {
  readonly errors?: readonly MemberError[]
  readonly payment_id?: string
  /** Names of members, never values. */
  readonly mismatch?: readonly string[]
  readonly failing?: readonly string[]
}

export interface ProblemOptions {
  readonly members?: ProblemMembers
  readonly headers?: Readonly<Record<string, string>>
  /** The error behind the problem, for debugging. No client sees it. */
  readonly cause?: unknown
}

/** Thrown to answer a request with a problem. Clients read `detail`, so it never contains another error's message. */
export class Problem extends Error {
  readonly code: ProblemCode
  readonly members: ProblemMembers
  readonly headers: Readonly<Record<string, string>>

  constructor(code: ProblemCode, detail: string, { members = {}, headers = {}, cause }: ProblemOptions = {}) {
    super(detail, { cause })
    this.code = code
    this.members = members
    this.headers = headers
  }
}

export const PROBLEM_TYPE = 'application/problem+json'

export function problemBody({ code, message, members }: Problem, requestId: string) {
  return {
    type: `urn:problem-type:cashflow:${code}`,
    ...PROBLEMS[code],
    detail: message,
    code,
    request_id: requestId,
    ...members,
  }
}

const ERRORS_MAX = 20

/** @param errors all errors of the body; the answer has the first 20 */
export function validationProblem(errors: readonly MemberError[]): Problem {
  const shown = errors.slice(0, ERRORS_MAX)
  const details = shown.map(({ pointer, detail }) => `${pointer} ${detail}`)
  return new Problem('validation-error', `${details.slice(0, 5).join('; ')}${details.length > 5 ? '; …' : '.'}`, {
    members: { errors: shown },
  })
}
