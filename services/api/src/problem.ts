import type { PaymentStatus } from '@cashflow/domain'
import { PROBLEMS, type ProblemCode } from './problem-types.ts'

/** An error in one member of the body. */
export interface MemberError {
  /** A JSON pointer as URI fragment (RFC 6901 §6), such as `#/amount`. `#` is the whole body, or contains a member with a long name. */
  readonly pointer: string
  readonly detail: string
}

/** An error in one parameter of the query. */
export interface ParameterError {
  readonly parameter: string
  readonly detail: string
}

export interface ProblemMembers {
  readonly errors?: readonly (MemberError | ParameterError)[]
  readonly payment_id?: string
  /** Names of members, never values. */
  readonly mismatch?: readonly string[]
  readonly payment_status?: PaymentStatus
  readonly waiting_for?: string
  readonly next_action_at?: string
  readonly failing?: readonly string[]
  readonly 'violated-policies'?: readonly string[]
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
  const { type, title, status, retryable } = PROBLEMS[code]
  return { type, title, status, detail: message, code, retryable, request_id: requestId, ...members }
}

const ERRORS_MAX = 20

/** @param errors all errors of the body or of the query; the answer has the first 20 */
export function validationProblem(errors: readonly (MemberError | ParameterError)[]): Problem {
  const shown = errors.slice(0, ERRORS_MAX)
  const details = shown.map((error) => `${'pointer' in error ? error.pointer : error.parameter} ${error.detail}`)
  return new Problem('validation-error', `${details.slice(0, 5).join('; ')}${details.length > 5 ? '; …' : '.'}`, {
    members: { errors: shown },
  })
}
