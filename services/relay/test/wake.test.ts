import { expect } from 'chai'
import { createWake } from '../src/wake.ts'

const signal = new AbortController().signal

async function elapsed(work: Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await work
  return performance.now() - startedAt
}

describe('a wake', () => {
  it('ends every wait at once', async () => {
    const wake = createWake()
    const waits = [1, 2, 3].map(() => elapsed(wake.wait({ atMostMs: 5_000, signal })))
    wake.wake()
    for (const ms of await Promise.all(waits)) expect(ms).to.be.below(1_000)
  })

  it('is remembered for one who comes a moment later, and only once', async () => {
    const wake = createWake()
    wake.wake()
    wake.wake()
    expect(await elapsed(wake.wait({ atMostMs: 5_000, signal }))).to.be.below(1_000)
    expect(await elapsed(wake.wait({ atMostMs: 40, signal }))).to.be.at.least(39)
  })

  it('gives up when told to stop', async () => {
    const wake = createWake()
    const stopping = new AbortController()
    const waiting = elapsed(wake.wait({ atMostMs: 5_000, signal: stopping.signal }))
    stopping.abort()
    expect(await waiting).to.be.below(1_000)
  })
})
