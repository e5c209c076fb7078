import fc from 'fast-check'
import { deliveriesHold } from './delivery-property.ts'
import { type Rig, startRig } from './rig.ts'

describe('order of webhooks', () => {
  let rig: Rig
  before(async () => {
    rig = await startRig()
    for (let processes = 0; processes < 2; processes++) await rig.start({ windowMax: 3 })
  })
  after(() => rig.stop())

  // Promises 118, 119
  it('webhooks: each event reaches the endpoints of its merchant at least once and in the order of its payment, signed', async () => {
    await fc.assert(deliveriesHold(rig), { numRuns: 6 })
  }).timeout(60_000)
})
