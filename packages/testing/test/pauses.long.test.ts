import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import {
  answer,
  createTestDatabase,
  createTestVhost,
  eventually,
  REPOSITORY,
  type ScriptedServer,
  type ServiceProcess,
  scrape,
  startScriptedServer,
  startTcpProxy,
  type TestDatabase,
} from '../src/index.ts'
import { type Pipeline, startPipeline } from '../src/pipeline.ts'
import { expectAllSettledOnce } from './thousand-payments.ts'

const APPROVED = answer(200, { status: 'approved' })
const SETTINGS = {
  PROVIDER: 'http',
  PROVIDER_DEADLINE_MS: '60000',
  REDRIVE_AFTER_MS: '1000',
  RECONCILE_INTERVAL_MS: '100',
}
const PAUSED = 'paused by an operator'
const REDRIVEN = 'overdue payments redriven'
const HELD = 'payments are overdue because of a pause, none is redriven'
const IN_FORCE_MS = 5_000

describe('pause', function () {
  this.timeout(180_000)
  let database: TestDatabase
  let server: ScriptedServer
  let pipeline: Pipeline
  let number = 0
  const cleanUps: (() => unknown)[] = []

  beforeEach(async () => {
    ;[database, server] = await Promise.all([createTestDatabase(), startScriptedServer()])
    server.script = APPROVED
  })
  afterEach(async () => {
    await pipeline.stop()
    await server.close()
    for (const cleanUp of cleanUps.splice(0)) await cleanUp()
  })

  async function start(sizes: Parameters<typeof startPipeline>[0], own: Record<string, string> = {}): Promise<void> {
    const vhost = await createTestVhost()
    pipeline = await startPipeline(sizes, { ...SETTINGS, PROVIDER_URL: server.url, ...own }, { database, vhost })
  }
  async function cashflow(...args: string[]): Promise<void> {
    const env = { ...process.env, DATABASE_URL: database.url, SANDBOX: 'yes' }
    const main = join(REPOSITORY, 'packages/cli/src/main.ts')
    await promisify(execFile)(process.execPath, [main, ...args], { cwd: tmpdir(), env })
  }
  const pause = (component: 'relay' | 'worker', ...more: string[]) =>
    cashflow('pause', component, '--reason', 'a test', ...more)
  /** Posts payments, and returns the ids of all payments of the test. */
  async function post(count: number, ids = new Set<string>()): Promise<Set<string>> {
    for (let left = count; left > 0; left -= 1) {
      number += 1
      const { status, id } = await pipeline.post(`ref-${number}`)
      expect(status).to.equal(201)
      ids.add(id)
    }
    return ids
  }
  const lines = (service: ServiceProcess, wanted: string) => service.logs.filter(({ message }) => message === wanted)
  const redrives = () => pipeline.processes.worker.flatMap((worker) => lines(worker, REDRIVEN))
  const overdue = () => pipeline.db.query("update payments set redrive_at = now() where status = 'PENDING'")
  const queued = (count: number) => eventually(async () => expect(await pipeline.queueDepth()).to.equal(count))
  async function expectNoAttempt(): Promise<void> {
    const { rows } = await pipeline.db.query('select 1 from payments where attempts > 0 or parked_at is not null')
    expect(rows).to.deep.equal([])
  }

  // Promise 100
  it('worker: a pause stops all workers in 5 s, finishes claims at a slow provider, and outlives kill -9', async () => {
    await start({ api: 1, relay: 1, worker: 2 })
    const charge = Promise.withResolvers<() => void>()
    server.script = (request, response) => charge.resolve(() => APPROVED(request, response))
    const ids = await post(1)
    const approve = await charge.promise
    server.script = APPROVED
    await pause('worker')
    const noticed = pipeline.processes.worker.map((worker) => worker.logged(PAUSED, { timeoutMs: IN_FORCE_MS }))
    for (const line of await Promise.all(noticed)) expect(line).to.include({ reason: 'a test', until: 'resumed' })
    await post(20, ids)
    await queued(21)
    await overdue()
    approve()
    await eventually(async () => {
      const { rows } = await pipeline.db.query("select 1 from payments where status = 'SUCCESS'")
      expect(rows).to.have.length(1)
    })
    await queued(20)

    const [victim] = pipeline.processes.worker as [ServiceProcess, ...ServiceProcess[]]
    victim.kill('SIGKILL')
    await victim.exited
    const successor = await pipeline.start('worker')
    await successor.logged(PAUSED)
    await successor.logged(HELD)
    expect(server.seen).to.have.length(1)
    expect(redrives()).to.deep.equal([])
    await cashflow('resume', 'worker')
    await expectAllSettledOnce(pipeline, ids)
    expect(await successor.logged('resumed')).to.include({ reason: 'a test' })
    await expectNoAttempt()
  })

  // Promise 100
  it('worker: a pause returns payments that wait behind a slow charge to the queue before the charge ends', async () => {
    await start({ api: 1, relay: 1, worker: 1 }, { PROVIDER_CONCURRENCY: '1', REDRIVE_AFTER_MS: '3600000' })
    const [worker] = pipeline.processes.worker as [ServiceProcess]
    const charge = Promise.withResolvers<() => void>()
    server.script = (request, response) => charge.resolve(() => APPROVED(request, response))
    const ids = await post(5)
    const approve = await charge.promise
    const delivered = 'cashflow_worker_deliveries_total{redelivered="false"}'
    await eventually(async () => {
      const metrics = await scrape(await worker.adminUrl())
      expect(metrics.get('cashflow_worker_deliveries_total')?.samples.get(delivered)).to.equal(5)
    })
    await pause('worker')
    await eventually(async () => expect(await pipeline.readyMessages()).to.equal(4), { timeoutMs: 30_000 })
    expect(server.seen).to.have.length(1)
    server.script = APPROVED
    approve()
    await queued(4)
    await cashflow('resume', 'worker')
    await expectAllSettledOnce(pipeline, ids)
    await expectNoAttempt()
  })

  // Promise 100
  it('worker: a pause outlasts an outage of PostgreSQL, and one with an end ends by the time left', async () => {
    await start({ api: 1, relay: 1, worker: 0 })
    const proxy = await startTcpProxy(database.url)
    cleanUps.push(() => proxy.stop())
    const worker = await pipeline.start('worker', { DATABASE_URL: proxy.url })
    await pause('worker', '--for', '20s')
    await worker.logged(PAUSED, { timeoutMs: IN_FORCE_MS })
    const ids = await post(5)
    await queued(5)
    proxy.cut()
    await worker.logged('pauses cannot be read, the last state is kept')
    expect(lines(worker, 'resumed')).to.deep.equal([])
    expect(await worker.logged('resumed')).to.include({ reason: 'a test' })
    await pause('worker')
    await worker.logged('database away, trying again') // It has received a message, and tries to claim its payment.
    expect(lines(worker, PAUSED)).to.have.length(1)
    proxy.restore()
    await eventually(() => expect(lines(worker, PAUSED)).to.have.length(2))
    await cashflow('resume', 'worker')
    await expectAllSettledOnce(pipeline, ids)
  })

  // Promises 13, 100
  it('redrive: a pause of relays or workers ends a redrive, and all payments settle after it', async () => {
    await start({ api: 1, relay: 0, worker: 0 })
    const ids = await post(50)
    const worker = await pipeline.start('worker', { REDRIVE_AFTER_MS: '3600000' })
    const redriving = new AbortController()
    const keepOverdue = async () => {
      while (!redriving.signal.aborted) await overdue()
    }
    const kept = keepOverdue()
    await worker.logged(REDRIVEN)
    await pause('relay')
    await worker.logged(HELD)
    const before = redrives().length
    await pause('worker') // Takes several rounds of the reconciler.
    await worker.logged(PAUSED, { timeoutMs: IN_FORCE_MS })
    await cashflow('pause', 'relay', '--for', '1s', '--reason', 'another reason')
    await Promise.all([pipeline.start('relay'), pipeline.start('relay')])
    await eventually(async () => expect(await pipeline.queueDepth()).to.be.at.least(ids.size))
    expect(redrives().length, 'redrives during a pause').to.equal(before)
    redriving.abort()
    await kept
    await cashflow('resume', 'worker')
    await expectAllSettledOnce(pipeline, ids)
    await expectNoAttempt()
  })
})
