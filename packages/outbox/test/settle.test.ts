import { expect } from 'chai'
import fc from 'fast-check'
import { retryDelayMs } from '../src/settle.ts'

describe('delay before the next attempt', () => {
  const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

  it('delay before the next attempt is uniform between 0 and the cap', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_100 }), chance, (attempts, random) => {
        const cap = Math.min(300_000, 1_000 * 2 ** (attempts - 1))
        const delayMs = retryDelayMs(attempts, () => random)
        expect(delayMs).to.be.within(0, cap)
        expect(delayMs).to.equal(Math.round(random * cap))
      }),
    )
  })

  it('delay before the next attempt has a cap of 1 s that doubles with each attempt, up to 5 minutes', () => {
    const caps = [1, 2, 3, 9, 10, 1_000_000].map((attempts) => retryDelayMs(attempts, () => 1))
    expect(caps).to.deep.equal([1_000, 2_000, 4_000, 256_000, 300_000, 300_000])
  })
})
