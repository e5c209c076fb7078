import { setImmediate } from 'node:timers/promises'
import { expect } from 'chai'
import { createWake } from '../src/wake.ts'

const signal = new AbortController().signal

const LONG_MS = 3_600_000

describe('a wake', () => {
  it('ends every wait at once', async () => {
    const wake = createWake()
    const waits = [1, 2, 3].map(() => wake.wait({ atMostMs: LONG_MS, signal }))
    wake.wake()
    await Promise.all(waits)
  })

  it('is remembered for one who comes a moment later, and only once', async () => {
    const wake = createWake()
    wake.wake()
    wake.wake()
    await wake.wait({ atMostMs: LONG_MS, signal })
    const stopping = new AbortController()
    const second = wake.wait({ atMostMs: LONG_MS, signal: stopping.signal }).then(() => 'woken')
    expect(await Promise.race([second, setImmediate('waiting')])).to.equal('waiting')
    stopping.abort()
    await second
  })

  it('gives up when told to stop', async () => {
    const wake = createWake()
    const stopping = new AbortController()
    const waiting = wake.wait({ atMostMs: LONG_MS, signal: stopping.signal })
    stopping.abort()
    await waiting
  })
})
