import fc from 'fast-check'
import { deliveriesHold } from './delivery-property.ts'
import { type Rig, startRig } from './rig.ts'

describe('order of webhooks, for longer', () => {
  let rig: Rig
  before(async () => {
    rig = await startRig()
    for (let processes = 0; processes < 2; processes++) await rig.start({ windowMax: 3 })
  })
  after(() => rig.stop())

  // Promises 118, 119
  it('webhooks: each event reaches the endpoints of its merchant in order in 120 made-up courses of events', async () => {
    await fc.assert(deliveriesHold(rig), { numRuns: Number(process.env.PROPERTY_RUNS ?? 120) })
  }).timeout(1_200_000)
})
