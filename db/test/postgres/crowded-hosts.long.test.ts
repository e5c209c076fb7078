import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { ask, hostOf, startHostRig } from './host-rig.ts'

describe('pool of several hosts', () => {
  // Promise 56
  it('db: leaves a host that stops answering, although more callers wait for a session than the pool may have', async () => {
    const rig = await startHostRig()
    const first = await rig.proxy()
    const db = rig.open([hostOf(first.url), rig.host], { poolMax: 2 })
    await ask(db)
    let hasEnded = false
    const call = async () => {
      while (!hasEnded) await ask(db).catch(() => sleep(20))
    }
    const callers = Array.from({ length: 20 }, call)
    first.reset()
    first.freeze()
    try {
      await eventually(() => expect(rig.logged('database host changed')).to.have.length(1), { timeoutMs: 8_000 })
      expect(rig.logged('database host changed')[0]).to.include({ host: rig.host })
    } finally {
      hasEnded = true
      await Promise.all(callers)
      await rig.stop()
    }
  }).timeout(60_000)
})
