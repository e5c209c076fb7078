import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startRabbitmq } from '@cashflow/dev-stack'
import { expect } from 'chai'
import { createTestVhost, startPrivatePostgres } from '../src/index.ts'
import { type Pipeline, type Role, startPipeline } from './pipeline.ts'
import { expectAllSettledOnce, PAYMENTS, postAll } from './thousand-payments.ts'

const SIZES = { api: 2, relay: 2, worker: 3 }
const SETTINGS = { PROVIDER_DEADLINE_MS: '1000' }

describe('the pipeline goes on by itself, and settles 1,000 payments, each once,', () => {
  const cleanUps: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
  })

  /** Posts them all, and has the outage when half of them are posted. */
  async function settleThrough(pipeline: Pipeline, outage: () => Promise<void>): Promise<void> {
    let over: Promise<void> | undefined
    const ids = await postAll(pipeline, (count) => {
      if (count === PAYMENTS / 2) over = outage()
    })
    await over
    await expectAllSettledOnce(pipeline, ids)
  }

  /** No process ended, and each has said that it lost the server. */
  async function expectAllSurvived({ processes }: Pipeline, noticed: RegExp, by: Role[]): Promise<void> {
    for (const service of Object.values(processes).flat()) {
      const exit = await Promise.race([service.exited, Promise.resolve('still running')])
      expect(exit, service.output.join('\n')).to.equal('still running')
    }
    for (const service of by.flatMap((role) => processes[role]))
      expect(service.logs.some(({ message }) => noticed.test(message))).to.equal(true)
  }

  it('when PostgreSQL is crashed in the middle and started again', async () => {
    const server = await startPrivatePostgres()
    cleanUps.push(() => server.stop())
    const database = { url: server.url, drop: async () => {} }
    const pipeline = await startPipeline(SIZES, SETTINGS, { database })
    cleanUps.push(() => pipeline.stop())
    await settleThrough(pipeline, async () => {
      await server.crash()
      await server.start()
    })
    await expectAllSurvived(pipeline, /^database connection lost$/, ['api', 'relay', 'worker'])
  }).timeout(240_000)

  it('when RabbitMQ is killed in the middle and started again', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
    cleanUps.push(() => rm(dir, { recursive: true, force: true }))
    let broker = await startRabbitmq({ dir })
    cleanUps.push(() => broker.stop())
    const vhost = await createTestVhost({ amqpUrl: broker.url, managementUrl: broker.managementUrl })
    const pipeline = await startPipeline(SIZES, SETTINGS, { vhost })
    cleanUps.push(() => pipeline.stop())
    await settleThrough(pipeline, async () => {
      process.kill(broker.pid, 'SIGKILL')
      await broker.exited
      broker = await startRabbitmq({ dir, ports: { amqp: broker.port, management: broker.managementPort } })
    })
    await expectAllSurvived(pipeline, /^lost RabbitMQ$/, ['relay', 'worker'])
  }).timeout(300_000)
})
