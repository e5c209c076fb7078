import { eventually, recordingLogger } from '@cashflow/testing'
import { Counter, Registry } from '@prometheus-io/client'
import { expect } from 'chai'
import { createHeartbeat } from '../../src/index.ts'
import { createSampler } from '../../src/operator.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

const SAMPLERS = 4

describe('chart samplers of several processes', function () {
  this.timeout(90_000)
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  it('chart samplers: four that run for 30 seconds write each slot once, at its end, and count each payment once', async () => {
    const { logger, lines } = recordingLogger()
    const { signal } = new AbortController()
    const registry = new Registry()
    const created = new Counter({ name: 'cashflow_api_payments_created_total', help: 'Created', registers: [registry] })
    const heartbeat = createHeartbeat({ db: store.db, role: 'api', version: '1', registry, logger, beatMs: 100 })
    await heartbeat.start(signal)
    await eventually(async () =>
      expect(await store.db.selectFrom('instances').select('id').execute()).to.have.length(1),
    )
    const samplers = Array.from({ length: SAMPLERS }, () => createSampler({ db: store.db, logger }))
    await Promise.all(samplers.map((sampler) => sampler.start(signal)))
    const slots = () => store.db.selectFrom('chart_slots').select(['at', 'created', 'span_ms']).orderBy('at').execute()
    for (const written of [1, 2, 3]) {
      await eventually(async () => expect(await slots()).to.have.length.at.least(written))
      created.inc(50)
    }
    const sum = async () => (await slots()).reduce((total, slot) => total + (slot.created ?? 0), 0)
    await eventually(async () => expect(await sum()).to.equal(150))
    const found = await slots()
    for (const [place, { at, span_ms }] of found.entries()) {
      if (place === 0) continue
      expect(at.getTime() - (found[place - 1]?.at.getTime() ?? 0)).to.equal(10_000)
      // The first sample was within a slot, at the start.
      if (place > 1) expect(span_ms).to.be.within(8_000, 12_000)
    }
    await Promise.all(samplers.map((sampler) => sampler.stop()))
    await heartbeat.stop()
    expect(lines).to.deep.equal([])
  })
})
