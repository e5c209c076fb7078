import { isDeepStrictEqual } from 'node:util'
import { errorMessage } from '@cashflow/async'
import { CashflowError } from '@cashflow/client'
import type { Answer, Deployment } from './deployment.ts'

/** One rule of the contract. `run` throws an error that says how the deployment breaks it. */
export interface Check {
  readonly area: 'idempotency' | 'errors' | 'limits'
  /** The rule, as a sentence. */
  readonly rule: string
  /** True if it needs an API key. */
  readonly needsKey?: boolean
  run(deployment: Deployment): Promise<void>
}

export interface Result {
  readonly area: string
  readonly rule: string
  readonly result: 'passed' | 'FAILED' | 'skipped'
  readonly detail: string | null
}

/** Runs the checks one after another. A check that fails stops no other one. */
export async function runChecks(checks: readonly Check[], deployment: Deployment): Promise<Result[]> {
  const results: Result[] = []
  for (const { area, rule, needsKey, run } of checks) {
    if (needsKey && deployment.key === undefined) {
      results.push({ area, rule, result: 'skipped', detail: 'it needs --key' })
      continue
    }
    const failure = await run(deployment).then(
      () => undefined,
      (error: unknown) => (error instanceof CashflowError ? `${error.code}: ${error.message}` : errorMessage(error)),
    )
    results.push({ area, rule, result: failure === undefined ? 'passed' : 'FAILED', detail: failure ?? null })
  }
  return results
}

/** @throws Error that shows both values */
export function expectEqual(actual: unknown, expected: unknown, what: string): void {
  if (isDeepStrictEqual(actual, expected)) return
  throw new Error(`${what} is ${short(actual)}, and should be ${short(expected)}`)
}

export function expectCreated(answer: Answer, { replayed }: { replayed: boolean }): void {
  expectEqual(codeOf(answer), '201', 'the answer')
  expectEqual(answer.headers.get('idempotent-replayed'), replayed ? 'true' : null, 'Idempotent-Replayed')
}

/** Expects a problem of RFC 9457 with the members that a client decides by. */
export function expectProblem(answer: Answer, status: number, code: string): void {
  expectEqual(codeOf(answer), `${status} ${code}`, 'the answer')
  const { headers, body } = answer
  expectEqual(headers.get('content-type')?.split(';')[0], 'application/problem+json', 'Content-Type')
  expectEqual(body?.status, status, 'the member status')
  expectEqual(body?.retryable, false, 'the member retryable')
  expectEqual(
    body?.request_id,
    headers.get('request-id'),
    'the member request_id, compared with the header Request-Id,',
  )
  for (const name of ['type', 'title', 'detail'])
    expectEqual(typeof body?.[name], 'string', `the type of the member ${name}`)
}

function codeOf({ status, body }: Answer): string {
  return body?.code === undefined ? String(status) : `${status} ${body.code}`
}

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing'
  return text.length > 120 ? `${text.slice(0, 120)}…` : text
}
