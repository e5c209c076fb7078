import { expect } from 'chai'
import { ask, hostOf, NOWHERE, startHostRig } from './host-rig.ts'

describe('pool of distant hosts', () => {
  it('db: uses a distant host although the check for a pooler takes longer than one second', async () => {
    const rig = await startHostRig()
    const far = await rig.proxy()
    far.delay(60)
    try {
      expect(await ask(rig.open([NOWHERE, hostOf(far.url)]))).to.be.above(1_000)
    } finally {
      await rig.stop()
    }
  }).timeout(30_000)
})
