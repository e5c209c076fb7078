import { expect } from 'chai'
import { createTestDatabase, eventually, startTcpProxy } from '../src/index.ts'
import { type Pipeline, startPipeline } from '../src/pipeline.ts'

const PAYMENTS = 20
// Twice the sum of a session's 8 s and the lease of a claim whose answer was lost.
const SETTLED_WITHIN_MS = 60_000

describe('network that drops all packets to PostgreSQL', () => {
  const cleanUps: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
  })

  const count = async ({ db }: Pipeline, condition: string) => {
    const { rows } = await db.query(`select count(*)::int as count from payments where ${condition}`)
    return rows[0].count as number
  }

  // Promise 20
  it('ends no service, and each service recovers by itself when the network does', async () => {
    const database = await createTestDatabase()
    const proxy = await startTcpProxy(database.url)
    cleanUps.push(() => proxy.stop())
    const settings = {
      DATABASE_URL: proxy.url,
      PROVIDER_DELAY_MS: '1000',
      PROVIDER_DEADLINE_MS: '2000',
      RECONCILE_INTERVAL_MS: '500',
    }
    const pipeline = await startPipeline({ api: 1, relay: 1, worker: 1 }, settings, { database })
    cleanUps.push(() => pipeline.stop())
    const { api, relay, worker } = pipeline.processes
    const post = async (reference: string) => (await pipeline.post(reference)).status

    for (let number = 0; number < PAYMENTS; number++) expect(await post(`ref-${number}`)).to.equal(201)
    await eventually(async () => expect(await count(pipeline, 'claim_token is not null')).to.be.above(0))
    // A payment that is claimed now is likely to be in its settlement when the network drops everything.
    expect(await post('claimed')).to.equal(201)
    await eventually(async () =>
      expect(await count(pipeline, "status = 'PENDING' and claim_token is not null")).to.be.above(0),
    )
    proxy.freeze()
    expect(await post('swallowed')).to.equal(503)
    await Promise.all([
      api[0]?.logged('database is not available'),
      relay[0]?.logged('pass failed, its messages stay in the outbox'),
      worker[0]?.logged('could not look for overdue payments, trying again'),
    ])

    proxy.restore()
    await eventually(async () => expect(await post('swallowed')).to.be.oneOf([201, 409]))
    await eventually(async () => expect(await count(pipeline, "status <> 'PENDING'")).to.equal(PAYMENTS + 2), {
      timeoutMs: SETTLED_WITHIN_MS,
      intervalMs: 100,
    })
    for (const service of [...api, ...relay, ...worker]) {
      const exit = await Promise.race([service.exited, Promise.resolve('still running')])
      expect(exit, service.output.join('\n')).to.equal('still running')
    }
  }).timeout(180_000)
})
