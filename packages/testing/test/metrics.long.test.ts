import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '@cashflow/async'
import { expect } from 'chai'
import { type Pipeline, type ServiceRole, startPipeline } from '../src/pipeline.ts'
import { REPOSITORY } from '../src/repository.ts'
import { scrape } from '../src/scrape.ts'

const ROW = /^\| `(cashflow_\w+)` \| (\w+) \| ([^|]*) \| ([^|]*) \| (.*) \|$/gm

interface Documented {
  readonly name: string
  readonly type: string
  readonly labels: readonly string[]
  readonly help: string
}

/** The rows of the table in docs/metrics.md about one service. */
function documented(role: ServiceRole): Documented[] {
  const page = readFileSync(join(REPOSITORY, 'docs/metrics.md'), 'utf8')
  return [...page.matchAll(ROW)]
    .filter(([, , , , services = '']) => services.split(', ').includes(role))
    .map(([, name = '', type = '', labels = '', , help = '']) => ({
      ...{ name, type, help },
      labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label).toSorted(),
    }))
}

describe('metrics', function () {
  this.timeout(180_000)
  let pipeline: Pipeline
  before(async () => {
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 1, webhooks: 1 })
    const { id } = await pipeline.post('metrics-1')
    await eventually(async () => {
      const { rows } = await pipeline.db.query('select status from payments where id = $1', [id])
      expect(rows[0].status).to.not.equal('PENDING')
    })
  })
  after(() => pipeline.stop())

  const metricsOf = async (role: ServiceRole) => scrape((await pipeline.processes[role][0]?.adminUrl()) ?? '')

  for (const role of ['api', 'relay', 'worker', 'webhooks'] as const)
    it(`docs/metrics.md lists exactly the metrics of a running ${role}, with their types, labels and help`, async () => {
      await eventually(async () => {
        const scraped = Array.from(await metricsOf(role), ([name, { type, labels, help }]) => {
          return { name, type, help, labels: labels.toSorted() }
        })
        expect(scraped).to.have.deep.members(documented(role))
      })
    })

  it('metrics count a payment once in each service on its way', async () => {
    await eventually(async () => {
      const [api, relay, worker] = await Promise.all((['api', 'relay', 'worker'] as const).map(metricsOf))
      const sample = (metrics: typeof api, name: string, labels = '') =>
        metrics?.get(name.replace(/_count$/, ''))?.samples.get(`${name}${labels}`)
      const request = '{method="POST",route="/payments",status="201"}'
      expect(sample(api, 'cashflow_http_request_duration_seconds_count', request)).to.equal(1)
      expect(sample(api, 'cashflow_api_write_batch_payments_count')).to.equal(1)
      expect(sample(api, 'cashflow_api_payments_created_total')).to.equal(1)
      expect(sample(api, 'cashflow_postgres_reachable')).to.equal(1)
      // payment.created, and the payment's outcome.
      expect(sample(relay, 'cashflow_relay_messages_total', '{outcome="confirmed"}')).to.equal(2)
      expect(sample(relay, 'cashflow_relay_created_to_confirmed_seconds_count')).to.equal(2)
      expect(sample(relay, 'cashflow_amqp_connected', '{connection="cashflow-relay"}')).to.equal(1)
      expect(sample(worker, 'cashflow_worker_deliveries_total', '{redelivered="false"}')).to.equal(1)
      expect(sample(worker, 'cashflow_worker_claims_total', '{verdict="claimed"}')).to.equal(1)
      expect(sample(worker, 'cashflow_worker_payments_total', '{result="settled"}')).to.equal(1)
      const settled = ['SUCCESS', 'FAILED'].map((status) =>
        sample(worker, 'cashflow_worker_settlements_total', `{status="${status}"}`),
      )
      expect(settled.toSorted()).to.deep.equal([0, 1])
      const calls = ['approved', 'declined'].map((outcome) =>
        sample(worker, 'cashflow_provider_call_duration_seconds_count', `{outcome="${outcome}"}`),
      )
      expect(calls.filter((count) => count !== undefined)).to.deep.equal([1])
      expect(sample(worker, 'cashflow_worker_breaker_state', '{state="closed"}')).to.equal(1)
    })
  })
})
