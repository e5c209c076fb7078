import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { createTestVhost, eventually, startPrivatePostgres, startRabbitmqCluster } from '../src/index.ts'
import { type Pipeline, type Role, startPipeline } from '../src/pipeline.ts'
import { expectAllSettledOnce, expectEachSettledOnce, PAYMENTS, postAll } from './thousand-payments.ts'

const SIZES = { api: 2, relay: 2, worker: 3 }
const SETTINGS = { PROVIDER_DEADLINE_MS: '1000' }

describe('pipeline under an outage', () => {
  const cleanUps: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
  })

  /** Posts all payments, and starts the outage when half of them are posted. */
  async function settleThrough(pipeline: Pipeline, outage: () => Promise<void>): Promise<void> {
    let over: Promise<void> | undefined
    const ids = await postAll(pipeline, (count) => {
      if (count === PAYMENTS / 2) over = outage()
    })
    await over
    await expectAllSettledOnce(pipeline, ids)
  }

  /** Expects that no process has ended, and that each has logged the loss of the server. */
  async function expectAllSurvived({ processes }: Pipeline, noticed: RegExp, by: Role[]): Promise<void> {
    for (const service of Object.values(processes).flat()) {
      const exit = await Promise.race([service.exited, Promise.resolve('still running')])
      expect(exit, service.output.join('\n')).to.equal('still running')
    }
    for (const service of by.flatMap((role) => processes[role]))
      expect(service.logs.some(({ message }) => noticed.test(message))).to.equal(true)
  }

  // Promises 1, 20
  it('pipeline recovers and settles each payment once when PostgreSQL crashes under load and is started again', async () => {
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

  // Promises 1, 20
  it('pipeline recovers and settles each payment once when RabbitMQ is killed under load and started again', async () => {
    const broker = await startPrivateRabbitmq()
    const pipeline = await startPipeline(SIZES, SETTINGS, broker)
    cleanUps.push(() => pipeline.stop())
    await settleThrough(pipeline, async () => {
      await broker.kill()
      await broker.start()
    })
    await expectAllSurvived(pipeline, /^lost the connection to RabbitMQ$/, ['relay', 'worker'])
  }).timeout(300_000)

  // Promises 1, 13
  it('pipeline recovers and settles each payment once when RabbitMQ is killed and its disk wiped, with 100 confirmed messages', async () => {
    const broker = await startPrivateRabbitmq()
    const fast = { REDRIVE_AFTER_MS: '1500', RECONCILE_INTERVAL_MS: '200', WORKER_PREFETCH: '5' }
    const pipeline = await startPipeline({ api: 1, relay: 1, worker: 2 }, { ...SETTINGS, ...fast }, broker)
    cleanUps.push(() => pipeline.stop())
    const { worker } = pipeline.processes
    const signal = (name: NodeJS.Signals) => {
      for (const { kill } of worker) kill(name)
    }
    cleanUps.push(async () => signal('SIGCONT'))
    signal('SIGSTOP') // Frozen workers settle none of them before.

    let over: Promise<void> | undefined
    const wipe = async () => {
      const text = 'select (select count(*) from payments) - (select count(*) from outbox_messages) as confirmed'
      await eventually(async () =>
        expect(Number((await pipeline.db.query(text)).rows[0].confirmed)).to.be.at.least(100),
      )
      await broker.kill()
      await broker.wipe()
      await broker.start()
      signal('SIGCONT')
    }
    const onPosted = (count: number) => {
      if (count === 100) over = wipe()
    }
    const ids = await postAll(pipeline, onPosted, { payments: 200, connections: 10 })
    await over
    await expectEachSettledOnce(pipeline, ids)
    const { rows } = await pipeline.db.query('select * from dead_letters')
    expect(rows).to.deep.equal([])
    const lines = worker.flatMap(({ logs }) => logs.filter(({ message }) => message === 'overdue payments redriven'))
    // All hundred messages except those that the frozen workers had received.
    expect(lines.reduce((sum, line) => sum + Number(line.redriven), 0)).to.be.at.least(90)
    await expectAllSurvived(pipeline, /^lost the connection to RabbitMQ$/, ['relay', 'worker'])
  }).timeout(300_000)

  /** Starts a broker for this test, with a vhost. */
  async function startPrivateRabbitmq() {
    const dir = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
    cleanUps.push(() => rm(dir, { recursive: true, force: true }))
    const cluster = await startRabbitmqCluster({ dir, size: 1 })
    cleanUps.push(() => cluster.stop())
    const [node] = cluster.nodes
    if (!node) throw new Error('a cluster without a node')
    const vhost = await createTestVhost({ amqpUrl: node.url, managementUrl: node.managementUrl })
    return {
      vhost,
      kill: () => node.kill(),
      wipe: () => node.wipe(),
      async start() {
        await node.start()
        await vhost.create()
      },
    }
  }
})
