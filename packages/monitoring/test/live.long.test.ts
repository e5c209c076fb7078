import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  eventually,
  fetchPrometheus,
  type Pipeline,
  type Prometheus,
  startPipeline,
  startPrometheus,
} from '@cashflow/testing'
import { expect } from 'chai'
import { METRICS } from '../src/metrics.ts'
import { dashboardExpressions, read } from './files.ts'

const programs = await fetchPrometheus()

/** Starts a Prometheus that scrapes all processes of a pipeline, with the rules of this repository. */
async function observe({ processes }: Pipeline, program: string, dir: string): Promise<Prometheus> {
  const targets = Object.entries(processes).map(async ([role, services]) => {
    return [`cashflow-${role}`, await Promise.all(services.map((service) => service.adminUrl()))] as const
  })
  return await startPrometheus({
    program,
    dir,
    targets: Object.fromEntries(await Promise.all(targets)),
    rules: read('rules'),
  })
}

if (programs)
  describe('two processes of each service, scraped by Prometheus', function () {
    this.timeout(300_000)
    const stack = new AsyncDisposableStack()
    let prometheus: Prometheus
    let pipeline: Pipeline
    before(async () => {
      pipeline = await startPipeline({ api: 2, relay: 2, worker: 2, webhooks: 2 })
      stack.defer(() => pipeline.stop())
      const folder = stack.use(await mkdtempDisposable(join(tmpdir(), 'cashflow-prometheus-')))
      prometheus = await observe(pipeline, programs.prometheus, folder.path)
      stack.defer(async () => void (await prometheus.stop()))
      for (let n = 0; n < 20; n += 1) await pipeline.post(`live-${n}`)
    })
    after(() => stack.disposeAsync())

    const oneOf = async (expression: string) => Number((await prometheus.query(expression))[0]?.value[1])

    it('show every metric that rules and dashboard read', async () => {
      await eventually(async () => {
        const missing: string[] = []
        for (const name of Object.values(METRICS))
          if ((await prometheus.query(`{__name__=~"${name}(_count)?"}`)).length === 0) missing.push(name)
        expect(missing).to.deep.equal([])
      })
    })

    // Promise 102
    it('show the same facts of the database in each api and relay, so that their max is the fact', async () => {
      await eventually(async () => expect(await oneOf(`count(${METRICS.instances}{role="worker"})`)).to.equal(4))
      await eventually(async () => {
        for (const role of ['api', 'relay', 'worker', 'webhooks'])
          expect(await oneOf(`max(${METRICS.instances}{role="${role}"})`), role).to.equal(2)
      })
    })

    it('let Prometheus evaluate each rule and each expression of the dashboard, and no alert fires', async () => {
      for (const expression of dashboardExpressions()) await prometheus.query(expression)
      const rules = await eventually(async () => {
        const some = await prometheus.rules()
        expect(some.map(({ health }) => health)).to.not.include('unknown')
        return some
      })
      expect(rules.filter(({ health }) => health !== 'ok')).to.deep.equal([])
      expect(rules.filter(({ state }) => state === 'firing').map(({ name }) => name)).to.deep.equal([])
    })

    it('make Prometheus fire when the workers are killed: no consumer, and no worker answers', async () => {
      await Promise.all(pipeline.processes.worker.map((worker) => worker.kill('SIGKILL')))
      await eventually(
        async () => {
          const firing = (await prometheus.rules()).filter(({ state }) => state === 'firing').map(({ name }) => name)
          expect(firing).to.include.members(['CashflowNoConsumer', 'CashflowServiceGone', 'CashflowInstanceGone'])
        },
        { timeoutMs: 240_000, intervalMs: 1_000 },
      )
    })
  })
