import { eventually, type Pipeline, startPipeline } from '@cashflow/testing'
import { expect } from 'chai'
import { sampleOnce } from '../../src/charts/sample.ts'
import { type ChartRig, createChartRig } from './chart-rig.ts'

const PAYMENTS = 20

interface Counted {
  readonly created: number
  readonly settled: number
  readonly within: number
}

describe('charts of real processes', function () {
  this.timeout(180_000)
  let rig: ChartRig
  let pipeline: Pipeline
  before(async () => {
    rig = await createChartRig()
    pipeline = await startPipeline({ api: 2, relay: 1, worker: 2 }, {}, { database: rig.database })
  })
  after(() => pipeline.stop())

  /** What the heartbeats of all processes have counted. */
  const beaten = async (): Promise<Counted> => {
    const { rows } = await pipeline.db.query<Counted>(`
      select sum((counters ->> 'cashflow_api_payments_created_total')::int)::int as created,
        sum((counters ->> 'cashflow_worker_settlements_total')::int)::int as settled,
        coalesce(sum((select sum(value::int) from jsonb_each_text(counters) where key like 'settled_from_%')), 0)::int as within
      from instances`)
    return rows[0] ?? expect.fail('no row')
  }

  // Promise 139
  it('charts: count each payment once as created and once as settled, also if it was sent twice', async () => {
    await eventually(async () => expect(await rig.db.selectFrom('instances').select('id').execute()).to.have.length(5))
    await eventually(async () => expect(await beaten()).to.deep.equal({ created: 0, settled: 0, within: 0 }))
    expect((await sampleOnce(rig.db)).isWritten).to.equal(true)
    for (let payment = 0; payment < PAYMENTS; payment++) {
      const headers = { 'Idempotency-Key': `"charts-${payment}"` }
      const { id, status } = await pipeline.post(`REF-${payment}`, headers)
      expect(status).to.equal(201)
      expect((await pipeline.post(`REF-${payment}`, headers)).id).to.equal(id)
    }
    const all = { created: PAYMENTS, settled: PAYMENTS, within: PAYMENTS }
    await eventually(async () => expect(await beaten()).to.deep.equal(all))
    await rig.age(10)
    expect((await sampleOnce(rig.db)).isWritten).to.equal(true)
    const slots = await rig.db
      .selectFrom('chart_slots')
      .select(['created', 'settled', 'settled_within'])
      .orderBy('at')
      .execute()
    const { created, settled, settled_within } = slots.at(-1) ?? expect.fail('no slot')
    expect({ created, settled }).to.deep.equal({ created: PAYMENTS, settled: PAYMENTS })
    expect(settled_within?.reduce((sum, count) => sum + count, 0)).to.equal(PAYMENTS)
    // None was settled at once, and none took minutes.
    expect(settled_within?.slice(17)).to.deep.equal(Array(7).fill(0))
  })
})
