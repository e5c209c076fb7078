import { expect } from 'chai'
import type { ServiceProcess } from '../src/index.ts'
import { type Pipeline, type Role, startPipeline } from '../src/pipeline.ts'
import { expectAllSettledOnce, PAYMENTS, postAll } from './thousand-payments.ts'

// A killed worker's leases last for its provider deadline plus ten seconds.
const SETTINGS = { PROVIDER_DEADLINE_MS: '1000' }

describe('pipeline', () => {
  let pipeline: Pipeline
  beforeEach(async () => {
    pipeline = await startPipeline({ api: 2, relay: 2, worker: 3 }, SETTINGS)
  })
  afterEach(() => pipeline.stop())

  // Promises 1, 2
  it('settles 1,000 payments over 20 connections, each once', async () => {
    const ids = await postAll(pipeline)
    expect(ids.size).to.equal(PAYMENTS)
    await expectAllSettledOnce(pipeline, ids)
  }).timeout(180_000)

  for (const role of ['api', 'relay', 'worker'] as Role[]) {
    // Promises 1, 2
    it(`settles 1,000 payments, each once, when the ${role} is killed under load and started again`, async () => {
      let killed: Promise<unknown> | undefined
      const ids = await postAll(pipeline, (count) => {
        if (count !== PAYMENTS / 2) return
        const [victim] = pipeline.processes[role]
        victim?.kill('SIGKILL')
        killed = pipeline.start(role)
      })
      await killed
      expect(await pipeline.processes[role][0]?.exited).to.equal('SIGKILL')
      await expectAllSettledOnce(pipeline, ids)
    }).timeout(180_000)
  }
})

describe('pipeline with a slow provider', () => {
  const SLOW = { PROVIDER_DELAY_MS: '2000', WORKER_PREFETCH: '5' }
  let pipeline: Pipeline
  beforeEach(async () => {
    pipeline = await startPipeline({ api: 2, relay: 2, worker: 3 }, SLOW)
  })
  afterEach(() => pipeline.stop())

  /** The payments that a worker settled after SIGTERM. */
  const settledLate = ({ logs }: ServiceProcess) => {
    const messages = logs.map(({ message }) => message)
    return messages.slice(messages.indexOf('stopping')).filter((message) => message === 'payment settled').length
  }

  // Promise 24
  it('stops every service with exit code 0 on SIGTERM under load, and continues after a restart', async () => {
    const ids = await postAll(pipeline)
    const { api, relay, worker } = pipeline.processes
    await Promise.all(worker.map((one) => one.logged('payment settled')))
    const codes = await Promise.all([...relay, ...worker].map((service) => service.stop()))
    expect(codes).to.deep.equal([0, 0, 0, 0, 0])
    expect(await api[0]?.stop()).to.equal(0)
    expect(Math.max(...worker.map(settledLate)), 'settled while stopping').to.be.above(0)
    const { rows } = await pipeline.db.query(`
      select count(*) > 0 as pending, count(*) filter (where claim_token is not null)::int as claimed
      from payments where status = 'PENDING'`)
    expect(rows[0]).to.deep.equal({ pending: true, claimed: 0 })
    const fast = { PROVIDER_DELAY_MS: '0', WORKER_PREFETCH: '100' }
    await Promise.all([pipeline.start('relay'), pipeline.start('worker', fast)])
    await expectAllSettledOnce(pipeline, ids)
  }).timeout(180_000)
})
