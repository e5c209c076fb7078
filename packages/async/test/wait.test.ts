import { getEventListeners } from 'node:events'
import { aborted, pause } from '@cashflow/async'
import { expect } from 'chai'

describe('pause', () => {
  it('resolves after ms milliseconds', async () => {
    const startedAt = performance.now()
    await pause(20)
    expect(performance.now() - startedAt).to.be.at.least(19)
  })

  it('resolves when its signal aborts, or immediately if it had aborted before', async () => {
    const stopping = new AbortController()
    const paused = pause(3_600_000, stopping.signal)
    stopping.abort()
    await paused
    await pause(3_600_000, stopping.signal)
  })
})

describe('aborted', () => {
  it('resolves with the reason of the first signal that aborts, and leaves no listener', async () => {
    const [one, other] = [new AbortController(), new AbortController()]
    const first = aborted(one.signal, other.signal)
    other.abort('the other')
    expect(await first).to.equal('the other')
    expect(getEventListeners(one.signal, 'abort')).to.deep.equal([])
  })
})
