import { expect } from 'chai'
import type { Response } from 'supertest'
import type { ApiUnderTest } from './start-api.ts'

let references = 0

export function newReference(): string {
  references += 1
  return `REF-${references}`
}

/** A body as JSON text; `amount` is JSON text too. */
export function bodyWith({ amount = '100.50', currency = 'USD', reference = newReference() } = {}): string {
  return `{"amount": ${amount}, "currency": ${JSON.stringify(currency)}, "reference": ${JSON.stringify(reference)}}`
}

export async function post(api: ApiUnderTest, body: string | Buffer, path = '/payments'): Promise<Response> {
  return await api.agent
    .post(path)
    .set('Content-Type', 'application/json')
    .serialize((bytes) => bytes)
    .send(body)
}

export function expectProblem(response: Response, status: number, code: string): void {
  expect(response.status, response.text).to.equal(status)
  expect(response.headers['content-type']).to.match(/^application\/problem\+json/)
  expect(response.headers['request-id']).to.match(/^[A-Za-z0-9._-]{1,128}$/)
  expect(response.headers['cache-control']).to.equal('no-store')
  expect(response.body).to.include({
    type: `urn:problem-type:cashflow:${code}`,
    status,
    code,
    request_id: response.headers['request-id'],
  })
  expect(response.body.title).to.be.a('string').that.is.not.empty
  expect(response.body.detail).to.be.a('string').that.is.not.empty
  expect(response.text).not.to.match(/node_modules|\.ts:| {4}at /)
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
