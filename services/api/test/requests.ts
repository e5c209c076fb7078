import { expect } from 'chai'
import type { Response } from 'supertest'
import { PROBLEMS, type ProblemCode } from '../src/problem-types.ts'
import type { ApiUnderTest } from './start-api.ts'

/** The members of a new payment without metadata. */
export const MEMBERS = ['id', 'amount', 'amount_minor', 'currency', 'reference', 'status', 'created_at'] as const

let references = 0

export function newReference(): string {
  references += 1
  return `REF-${references}`
}

/** A body as JSON text; `amount` is JSON text too. */
export function bodyWith({ amount = '100.50', currency = 'USD', reference = newReference() } = {}): string {
  return `{"amount": ${amount}, "currency": ${JSON.stringify(currency)}, "reference": ${JSON.stringify(reference)}}`
}

export async function post(
  api: ApiUnderTest,
  body: string | Buffer,
  path = '/payments',
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return await api.agent
    .post(path)
    .set({ 'Content-Type': 'application/json', ...headers })
    .serialize((bytes) => bytes)
    .send(body)
}

const SHARED_HEADERS = {
  'content-security-policy': "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-download-options': 'noopen',
  'x-frame-options': 'DENY',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0',
}

/** Expects the headers that every answer has, of any route and status, and none that tells about the server. */
export function expectSharedHeaders(headers: Readonly<Record<string, string>>, cacheControl = 'no-store'): void {
  expect(headers).to.include(SHARED_HEADERS)
  expect(headers.vary).to.match(/^Authorization(, |$)/)
  expect(headers['cache-control']).to.equal(cacheControl)
  expect(headers['request-id']).to.match(/^[A-Za-z0-9._-]{1,128}$/)
  for (const name of Object.keys(headers)) expect(name).to.not.match(/^(access-control-|x-powered-by|server)/)
}

/** The members that all answers with this problem share. */
export function sharedMembers(code: ProblemCode) {
  const { type, title, status, retryable } = PROBLEMS[code]
  return { type, title, status, code, retryable }
}

export const postWithKey = (api: ApiUnderTest, key: string, body: string, path?: string): Promise<Response> =>
  post(api, body, path, { 'Idempotency-Key': key })

export function expectProblem(response: Response, status: number, code: ProblemCode): void {
  expect(response.status, response.text).to.equal(status)
  expect(response.headers['content-type']).to.match(/^application\/problem\+json/)
  expectSharedHeaders(response.headers)
  expect(response.body).to.include({
    ...sharedMembers(code),
    request_id: response.headers['request-id'],
  })
  expect(response.body.detail).to.be.a('string').that.is.not.empty
  expect(response.text).not.to.match(/node_modules|\.ts:| {4}at /)
}

/** @returns the answer, which is that of a request that created a payment */
export function expectCreated(response: Response): Response {
  expect(response.status, response.text).to.equal(201)
  expect(response.headers).not.to.have.property('idempotent-replayed')
  return response
}

/** Expects the answer that `first` was, byte for byte. */
export function expectReplayOf(first: Response, response: Response): void {
  expect(response.status, response.text).to.equal(201)
  expect(response.text).to.equal(first.text)
  expect(response.headers['idempotent-replayed']).to.equal('true')
  expect(response.headers['content-type']).to.equal(first.headers['content-type'])
  expect(response.headers.location).to.match(new RegExp(`/payments/${first.body.id}$`))
}

/** The answer to GET of a payment that waits for its first claim, without what only GET shows: the text of its 201. */
export function textAsCreated(found: Response): string {
  expect(found.status, found.text).to.equal(200)
  expect(found.body.waiting_for).to.equal('queue')
  return found.text.replace(/"waiting_for":"queue","next_action_at":"[^"]+",/, '')
}

/** The pointers of a validation problem. */
export function pointers(response: Response): string[] {
  expectProblem(response, 400, 'validation-error')
  return response.body.errors.map((error: { pointer: string }) => error.pointer)
}

/** Numbers of rows in the tables that a POST writes. */
export async function stored({ db }: ApiUnderTest): Promise<{ payments: number; events: number; messages: number }> {
  const count = async (table: 'payments' | 'payment_events' | 'outbox_messages') => {
    const rows = await db.selectFrom(table).select('created_at').execute()
    return rows.length
  }
  return {
    payments: await count('payments'),
    events: await count('payment_events'),
    messages: await count('outbox_messages'),
  }
}
