import { EventEmitter } from 'node:events'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import type { Response } from 'express'
import { LISTS_MAX } from '../../src/limits.ts'
import { AUTH, createKey } from '../auth/merchant-keys.ts'
import { bodyWith, expectProblem, post } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

/** Takes a slot for a list of a merchant. Returns the function that ends it. */
function hold(api: ApiUnderTest, merchantId: string): () => Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const locals = { merchantId, assertKey: async () => {} }
  const res = Object.assign(new EventEmitter(), { closed: false, req: { socket: {} }, locals })
  const held = api.lists.run(res as unknown as Response, () => promise)
  return async () => {
    resolve()
    await held
  }
}

describe('GET /payments: its queue', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi({ queueMax: 10 })
  })
  after(() => api.stop())

  // Promise 82
  it('GET /payments: waits for its slot, is refused when too many wait, and holds up no other request', async () => {
    const { body: created } = await post(api, bodyWith())
    expect(LISTS_MAX).to.equal(2)
    // The default merchant has one of the slots, and another merchant has the other one.
    const others = Array.from({ length: LISTS_MAX - 1 }, (_, n) => `merchant ${n}`)
    const ends = [DEFAULT_MERCHANT_ID, ...others].map((merchantId) => hold(api, merchantId))
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

describe('lists and events of two merchants: their queue', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi({ auth: AUTH, queueMax: 100 })
  })
  after(() => api.stop())

  /** A new merchant with a payment. Returns its id, and the paths of its lists. */
  async function createMerchant() {
    const { merchantId, text } = await createKey(api)
    const key = { Authorization: `Bearer ${text}` }
    const { body } = await post(api, bodyWith(), '/payments', key)
    const statusOf = async (path: string) => (await api.agent.get(path).set(key)).status
    return { merchantId, statusOf, paths: ['/events', `/payments/${body.id}/events`, '/payments'] }
  }

  // Promise 82
  it('GET /events, /payments/:id/events and /payments: a slow list of one merchant holds up its own lists, and none of another merchant', async () => {
    const [slow, other] = [await createMerchant(), await createMerchant()]
    const end = hold(api, slow.merchantId)
    const answered: number[] = []
    const waiting = slow.paths.map((path) => slow.statusOf(path).then((status) => answered.push(status)))
    await eventually(() => expect(api.lists.waiting).to.equal(slow.paths.length))
    for (const path of other.paths) expect(await other.statusOf(path), path).to.equal(200)
    expect(answered, 'answers of the merchant with the slow list').to.deep.equal([])
    await end()
    await Promise.all(waiting)
    expect(answered).to.deep.equal(slow.paths.map(() => 200))
  })
})
