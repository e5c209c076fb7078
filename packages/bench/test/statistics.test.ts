import { median } from '@cashflow/testing'
import { expect } from 'chai'
import { medianInterval, percentile } from '../src/statistics.ts'

describe('statistics', () => {
  it('take the middle value as the median, or the mean of the two middle values, in any order', () => {
    expect(median([9, 1, 10])).to.equal(9)
    expect(median([10, 2, 4, 1])).to.equal(3)
    expect(median([7])).to.equal(7)
  })

  it('take the least value that the given percentage does not exceed as the percentile', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index)
    expect([1, 50, 99, 100].map((percent) => percentile(hundred, percent))).to.deep.equal([1, 50, 99, 100])
    expect(percentile([3, 1, 2], 99)).to.equal(3)
    expect(percentile([3, 1, 2], 0)).to.equal(1)
  })

  it('give the narrowest interval that holds the median with 95 % confidence, and its confidence', () => {
    const upTo = (count: number) => medianInterval(Array.from({ length: count }, (_, index) => count - index))
    const expected = [
      [1, 1, 1, 0],
      [5, 1, 5, 0.9375],
      [6, 1, 6, 0.96875],
      [7, 1, 7, 0.984375],
      [8, 1, 8, 0.9921875],
      // Tables of the sign test have these ranks.
      [9, 2, 8, 0.9609375],
      [12, 3, 10, 0.96142578125],
      [15, 4, 12, 0.96484375],
      [25, 8, 18, 0.9567],
      [100, 40, 61, 0.9648],
    ] as const
    for (const [count, low, high, confidence] of expected) {
      const interval = upTo(count)
      expect([interval.low, interval.high], `${count}`).to.deep.equal([low, high])
      expect(interval.confidence, `${count}`).to.be.closeTo(confidence, 0.0001)
    }
  })

  it('throw without values', () => {
    expect(() => median([])).to.throw(RangeError)
    expect(() => percentile([], 50)).to.throw(RangeError)
    expect(() => medianInterval([])).to.throw(RangeError)
  })
})
