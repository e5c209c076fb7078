import { defined, eventually } from '@cashflow/async'
import { expect } from 'chai'
import { type Pipeline, startPipeline } from '../src/pipeline.ts'

describe('requests that wait for the whole system', () => {
  let pipeline: Pipeline
  before(async () => {
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 1 })
  })
  after(() => pipeline.stop())

  const api = () => defined(pipeline.processes.api[0], 'api')
  const url = async () => `${(await api().logged('listening')).url}/api/v1`
  async function post(simulate: string, prefer: string): Promise<Response> {
    return await fetch(`${await url()}/payments`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer },
      body: JSON.stringify({ amount: 1, currency: 'USD', reference: crypto.randomUUID(), metadata: { simulate } }),
    })
  }

  // Promise 89
  it('system: POST with wait answers with the outcome that a worker has stored', async () => {
    for (const [simulate, status] of [
      ['success', 'SUCCESS'],
      ['decline', 'FAILED'],
    ] as const) {
      const response = await post(simulate, 'wait=30')
      expect(response.status).to.equal(201)
      expect(response.headers.get('preference-applied')).to.equal('wait=30')
      expect(await response.json()).to.include({ status })
    }
  }).timeout(60_000)

  // Promise 89
  it('system: a worker notifies of each payment that it settles, and an API listens', async () => {
    const heard: string[] = []
    const client = await pipeline.db.connect()
    client.on('notification', ({ payload = '' }) => heard.push(...payload.split(',')))
    await client.query('listen payments_settled')
    const { id } = (await (await post('success', 'wait=30')).json()) as { id: string }
    await eventually(() => expect(heard).to.deep.equal([id]))
    client.release(true)
    const { rowCount } = await pipeline.db.query(
      `select from pg_stat_activity
       where application_name like 'cashflow-api%' and query ilike 'listen %payments_settled%'`,
    )
    expect(rowCount).to.equal(1)
  }).timeout(60_000)

  // Promise 92
  it('system: advance makes ten attempts of a payment in seconds, which would take minutes, and is refused once it is parked', async () => {
    const { id } = (await (await post('timeout', 'wait=0')).json()) as { id: string }
    const get = async () => (await (await fetch(`${await url()}/payments/${id}`)).json()) as Record<string, string>
    await eventually(async () => {
      const { waiting_for } = await get()
      if (waiting_for === 'retry') await fetch(`${await url()}/test/payments/${id}/advance`, { method: 'POST' })
      expect(waiting_for).to.equal('operator')
    })
    const refused = await fetch(`${await url()}/test/payments/${id}/advance`, { method: 'POST' })
    expect(refused.status).to.equal(409)
    const problem = (await refused.json()) as object
    expect(problem).to.include({ code: 'not-advanceable', waiting_for: 'operator' })
    expect(problem).to.not.have.property('next_action_at')
    expect(await get()).to.include({ waiting_for: 'operator' })
  }).timeout(60_000)

  // Promises 24, 89
  it('system: an API that gets SIGTERM answers the requests that wait at once, and exits with 0', async () => {
    const { id } = (await (await post('success', 'wait=30')).json()) as { id: string }
    await pipeline.db.query(
      `update payments set status = 'PENDING', settled_at = null, failure_code = null, parked_at = now() where id = $1`,
      [id],
    )
    const waiting = fetch(`${await url()}/payments/${id}`, { headers: { prefer: 'wait=30' } })
    // The request waits for its answer once its connection is there, and a later request is answered.
    await eventually(async () => expect((await fetch(`${await url()}/payments/${id}`)).status).to.equal(200))
    const stoppedAt = performance.now()
    const stopped = api().stop()
    const response = await waiting
    expect(response.status).to.equal(200)
    expect(await response.json()).to.include({ status: 'PENDING', waiting_for: 'operator' })
    expect(response.headers.get('preference-applied')).to.equal(null)
    expect(await stopped).to.equal(0)
    expect(performance.now() - stoppedAt, 'ms').to.be.below(10_000)
  }).timeout(60_000)
})
