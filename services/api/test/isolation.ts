import { defined } from '@cashflow/async'
import { expect } from 'chai'
import type { Response } from 'supertest'

/** A payment of another merchant, of 100.50. Its next attempt is in an hour, and the merchant has one more payment. */
export interface Foreign {
  id: string
  reference: string
  idempotencyKey: string
  /** Its webhook endpoint, which has a delivery of the payment's event. */
  endpointId: string
  /** A check of the endpoint, which is not finished. */
  checkId: string
  /** Sends a request of the other merchant. */
  send: Send
}

interface Sent {
  body?: string
  idempotencyKey?: string
  prefer?: string
}

export type Method = 'get' | 'post' | 'patch' | 'delete'
export type Send = (method: Method, path: string, sent?: Sent) => Promise<Response>

export const withoutRequestId = ({ text, body }: Response) => text.replace(body.request_id, '')

/** 400, as for a cursor that no list has given. For the other merchant its list goes on with the cursor. */
export async function expectNoCursor(send: Send, path: string, foreign: Foreign) {
  const first = await foreign.send('get', path.replace(/&\w+=$/, ''))
  const cursor = defined<string>(first.body.next_cursor ?? undefined, `cursor of ${path}`)
  expect((await foreign.send('get', path + cursor)).status, path).to.equal(200)
  const answer = await send('get', path + cursor)
  expect([answer.status, answer.body.code], path).to.deep.equal([400, 'invalid-cursor'])
  expect(withoutRequestId(answer)).to.equal(withoutRequestId(await send('get', `${path}AQ`)))
}
