import { expect } from 'chai'
import fc from 'fast-check'
import { createSettledAfter, percentileOf, readBuckets, SETTLED_AFTER_MS } from '../../src/charts/settled-after.ts'

const bucketsOf = (times: readonly number[]) => {
  const after = createSettledAfter()
  for (const ms of times) after.note(ms)
  return readBuckets(after.counts())
}

describe('times from creation to settlement', () => {
  it('settled after: 24 buckets begin at 0 and at 5 ms, each at most 1.9 times the one before, and the last one begins at 1 hour', () => {
    expect(SETTLED_AFTER_MS).to.have.length(24)
    expect(SETTLED_AFTER_MS.slice(0, 2)).to.deep.equal([0, 5])
    expect(SETTLED_AFTER_MS.at(-1)).to.equal(3_600_000)
    for (const [bucket, ms] of SETTLED_AFTER_MS.entries())
      if (bucket > 1) expect(ms / (SETTLED_AFTER_MS[bucket - 1] ?? 0)).to.be.within(1.79, 1.9)
  })

  it('settled after: each time is counted once, in the bucket that has it, also a negative one and one of days', () => {
    const buckets = bucketsOf([-1_000, 0, 4.9, 5, 8.9, 3_599_999, 3_600_000, 1e9])
    expect(buckets.slice(0, 2)).to.deep.equal([3, 2])
    expect(buckets.slice(-2)).to.deep.equal([1, 2])
    expect(buckets.reduce((sum, count) => sum + count)).to.equal(8)
  })

  it('settled after: a percentile is in the bucket of the exact one, so at most 1.9 times too high or too low', () => {
    const times = fc.array(fc.double({ min: 5, max: 3_599_999, noNaN: true }), { minLength: 1, maxLength: 200 })
    fc.assert(
      fc.property(times, fc.constantFrom(0.5, 0.99), (all, part) => {
        const exact = all.toSorted((one, other) => one - other)[Math.ceil(part * all.length) - 1] ?? 0
        const estimated = percentileOf(bucketsOf(all), part) ?? 0
        expect(estimated / exact).to.be.within(1 / 1.9, 1.9)
      }),
    )
  })

  it('settled after: a percentile of no payments is null, and one above the last bound is that bound', () => {
    expect(percentileOf(bucketsOf([]), 0.5)).to.equal(null)
    expect(percentileOf(bucketsOf([1e9]), 0.99)).to.equal(3_600_000)
  })
})
