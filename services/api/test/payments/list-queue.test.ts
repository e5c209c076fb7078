import { EventEmitter } from 'node:events'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import type { Response } from 'express'
import { LISTS_MAX } from '../../src/limits.ts'
import { bodyWith, expectProblem, post } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

describe('GET /payments: its queue', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi({ queueMax: 10 })
  })
  after(() => api.stop())

  /** Takes a slot for a list of a merchant. Returns the function that ends it. */
  function hold(merchantId: string): () => Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const locals = { merchantId, assertKey: async () => {} }
    const res = Object.assign(new EventEmitter(), { closed: false, req: { socket: {} }, locals })
    const held = api.lists.run(res as unknown as Response, () => promise)
    return async () => {
      resolve()
      await held
    }
  }

  // Promise 82
  it('GET /payments: waits for its slot, is refused when too many wait, and holds up no other request', async () => {
    const { body: created } = await post(api, bodyWith())
    // The default merchant has one of the slots, and another merchant has the other one.
    const ends = [hold(DEFAULT_MERCHANT_ID), ...Array.from({ length: LISTS_MAX - 1 }, (_, n) => hold(`merchant ${n}`))]
    const list = () => api.agent.get('/payments').then((answer) => answer)
    const waiting = list()
    await eventually(() => expect(api.lists.waiting).to.equal(1))
    const refused = await list()
    expectProblem(refused, 503, 'overloaded')
    expect(refused.headers['retry-after']).to.equal('1')
    for (let n = 0; n < 10; n++) {
      expect((await api.agent.get(`/payments/${created.id}`)).status).to.equal(200)
      expect((await post(api, bodyWith())).status).to.equal(201)
    }
    expect(api.lists).to.include({ running: LISTS_MAX, waiting: 1 })
    for (const end of ends) await end()
    expect((await waiting).status).to.equal(200)
    expect(api.lists).to.include({ running: 0, waiting: 0 })
    expect(api.logs.map(({ message }) => message)).to.include('no longer overloaded')
  })
})
