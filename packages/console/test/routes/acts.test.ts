import { randomUUID } from 'node:crypto'
import { buryMessage } from '@cashflow/outbox'
import { expect } from 'chai'
import { type ConsoleUnderTest, startConsole } from '../start-console.ts'
import { storeEndpoint, storeParked, storePayment } from '../stored.ts'

describe('acts in the console', () => {
  let operators: ConsoleUnderTest
  let headers: { Cookie: string }
  before(async () => {
    operators = await startConsole()
    headers = { Cookie: await operators.cookieOf() }
  })
  after(() => operators.stop())

  const get = (path: string) => operators.ask(path, { headers })
  const post = (path: string, body: unknown = {}) => operators.ask(path, { method: 'POST', body, headers })
  const statusOf = async (id: string) =>
    (await operators.db.selectFrom('payments').select(['parked_at']).where('id', '=', id).executeTakeFirstOrThrow())
      .parked_at
  const acts = async (query = '') =>
    ((await get(`/api/audit${query}`)).body?.acts ?? []) as { action: string; target: string; id: string }[]

  // Promise 136
  it('console dead letters: shows one with its body, and requeues it with its payment', async () => {
    const { id, letter } = await storeParked(operators.db, 'HTTP 500 <b>')
    const listed = await get('/api/dead-letters?containing=500')
    expect(listed.body?.letters).to.have.lengthOf(1)
    const page = await get(`/api/dead-letters/${letter}`)
    expect(page.body).to.deep.include({ key: id, source: 'worker', payload: { payment_id: id }, acts: [] })
    const done = await post('/api/dead-letters/requeue', { ids: [letter, letter], reason: 'the provider is back' })
    expect(done.body).to.deep.equal({ results: [{ id: letter, done: true, why: null }] })
    expect(await statusOf(id)).to.equal(null)
    const after = await get(`/api/dead-letters/${letter}`)
    expect(after.body).to.include({ resolution: 'requeued' })
    expect(after.body?.acts).to.have.lengthOf(1)
  })

  it('console dead letters: one that is refused stops no other, and the answer tells why', async () => {
    const parked = await storeParked(operators.db)
    const key = randomUUID()
    const message = { messageId: key, key, topic: 'lost', payload: {}, source: 'queue', reason: 'x', attempts: 1 }
    await operators.db.transaction().execute((tx) => buryMessage(tx, message))
    const queued = operators.db.selectFrom('dead_letters').select('id').where('key', '=', key)
    const ids = [parked.letter, (await queued.executeTakeFirstOrThrow()).id]
    const { body } = await post('/api/dead-letters/discard', { ids, reason: 'a test' })
    const results = body?.results as { id: string; done: boolean; why: string | null }[]
    expect(results.map(({ done }) => done)).to.deep.equal([false, true])
    expect(results[0]?.why).to.match(/is parked/)
  })

  // Promise 137
  it('console dead letters: acts on what a filter selects only while it selects the same as in the dry run', async () => {
    const reason = randomUUID()
    const first = await storeParked(operators.db, reason)
    const filter = { containing: reason }
    const { body: dry } = await post('/api/dead-letters/select', filter)
    expect(dry).to.include({ dead_letters: 1, more: false })
    const second = await storeParked(operators.db, reason)
    const act = { filter, expect: dry?.hash, reason: 'the provider is back' }
    const refused = await post('/api/dead-letters/requeue', act)
    expect(refused.status).to.equal(409)
    expect(await statusOf(first.id)).to.be.instanceOf(Date)
    const { body: again } = await post('/api/dead-letters/select', filter)
    const done = await post('/api/dead-letters/requeue', { ...act, expect: again?.hash })
    expect(done.body?.results).to.have.lengthOf(2)
    for (const { id } of [first, second]) expect(await statusOf(id)).to.equal(null)
  })

  it('console dead letters: a body that names no dead letters is refused', async () => {
    for (const body of [
      {},
      { ids: [], reason: 'x' },
      { ids: ['1'] },
      { ids: ['x'], reason: 'x' },
      { filter: {}, reason: 'x' },
    ])
      expect((await post('/api/dead-letters/requeue', body)).status, JSON.stringify(body)).to.equal(422)
    expect((await get('/api/dead-letters/999999999')).status).to.equal(404)
  })

  // Promise 136
  it('console pauses: pauses a component and resumes it, each with its reason in the audit log', async () => {
    expect((await post('/api/pauses/worker', { reason: 'the provider moves', for_ms: 60_000 })).status).to.equal(200)
    expect((await post('/api/pauses/worker/resume', { reason: 'it has moved' })).status).to.equal(200)
    expect((await post('/api/pauses/worker/resume', { reason: 'again' })).status).to.equal(409)
    expect((await post('/api/pauses/api', { reason: 'x' })).status).to.equal(404)
    const [resumed, paused] = await acts('?target=worker')
    expect([paused?.action, resumed?.action]).to.deep.equal(['pause', 'resume'])
  })

  // Promise 136
  it('console merchants: creates one, and its key, whose secret no other answer has', async () => {
    const name = `Acme ${randomUUID()}`
    const made = await post('/api/merchants', { name })
    expect(made.body).to.include({ name })
    expect((await post('/api/merchants', { name })).status).to.equal(409)
    const merchant = String(made.body?.id)
    const created = await post(`/api/merchants/${merchant}/keys`, { name: 'shop', scopes: ['payments:read'] })
    const secret = String(created.body?.secret)
    const [, id = ''] = /^cf_test_(\w{13})_/.exec(secret) ?? []
    expect(created.body?.key).to.include({ id, status: 'active' })
    const rotated = await post(`/api/keys/${id}/rotate`, { overlap_hours: 1 })
    expect(rotated.status).to.equal(200)
    expect((await post(`/api/keys/${id}/revoke`)).status).to.equal(200)
    const listed = await get(`/api/merchants/${merchant}/keys`)
    expect(listed.body).to.include({ can_make_keys: true })
    const keys = listed.body?.keys as { id: string; status: string }[]
    expect(keys.map(({ status }) => status)).to.have.members(['revoked', 'active'])
    for (const text of [JSON.stringify(listed.body), JSON.stringify(await acts())]) expect(text).to.not.include(secret)
    const found = await get(`/api/merchants?name=${encodeURIComponent(name.slice(0, 12))}`)
    expect(found.body?.merchants).to.have.lengthOf(1)
    expect((await post('/api/keys/x/revoke')).status).to.equal(404)
  })

  // Promise 136
  it('console webhooks: switches, checks and replays an endpoint, and redelivers an event', async () => {
    const id = await storeEndpoint(operators.db, 'https://shop.example/')
    const reason = 'asked by the merchant'
    const path = `/api/webhooks/endpoints/${id}`
    const seen = await get(path)
    expect(seen.body).to.deep.include({ id, state: 'enabled', recent: { attempts: 0, succeeded: 0 }, pending: 0 })
    expect((await post(`${path}/disable`, { reason })).status).to.equal(200)
    expect((await post(`${path}/disable`, { reason })).status).to.equal(409)
    expect((await post(`${path}/replay`, { reason })).status, 'while it is disabled').to.equal(409)
    expect((await post(`${path}/enable`, { reason })).status).to.equal(200)
    expect((await post(`${path}/replay`, { reason, after: '2026-01-01T00:00:00Z' })).status).to.equal(200)
    const check = await post(`${path}/check`, { kind: 'check', reason })
    expect(check.body).to.include({ kind: 'check', finished_at: null })
    expect((await get(`${path}/checks/${check.body?.id}`)).body).to.deep.equal(check.body)
    const payment = await storePayment(operators.db)
    const event = { event_id: `evt_${payment.id}_1`, reason }
    expect((await post('/api/webhooks/redeliver', event)).status, 'without a delivery').to.equal(409)
    expect((await post('/api/webhooks/redeliver', { event_id: 'evt_x', reason })).status).to.equal(422)
    expect((await get(`/api/webhooks/deliveries?endpoint=${id}`)).body).to.deep.equal({
      ...{ deliveries: [], next: null, notes: [] },
    })
    const all = (await acts(`?target=${id}`)).map(({ action }) => action)
    expect(all).to.deep.equal(['webhooks check', 'webhooks replay', 'webhooks enable', 'webhooks disable'])
  })

  it('console audit log: pages newest first, and filters by act and by operator', async () => {
    const all = await acts()
    expect(all.length).to.be.greaterThan(5)
    const rest = await acts(`?before=${all[0]?.id}`)
    expect(rest).to.deep.equal(all.slice(1))
    expect(await acts('?actor=eve%40nowhere')).to.deep.equal([])
    expect((await acts('?action=pause')).every(({ action }) => action === 'pause')).to.equal(true)
    expect((await get('/api/audit?action=steal')).status).to.equal(422)
  })
})
