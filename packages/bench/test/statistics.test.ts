import { expect } from 'chai'
import { median, percentile } from '../src/statistics.ts'

describe('statistics', () => {
  it('take the value in the middle, or the mean of the two there, in whatever order they came', () => {
    expect(median([9, 1, 10])).to.equal(9)
    expect(median([10, 2, 4, 1])).to.equal(3)
    expect(median([7])).to.equal(7)
  })

  it('take the least value that so many percent do not exceed', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index)
    expect([1, 50, 99, 100].map((percent) => percentile(hundred, percent))).to.deep.equal([1, 50, 99, 100])
    expect(percentile([3, 1, 2], 99)).to.equal(3)
    expect(percentile([3, 1, 2], 0)).to.equal(1)
  })

  it('have nothing to say about nothing', () => {
    expect(() => median([])).to.throw(RangeError)
    expect(() => percentile([], 50)).to.throw(RangeError)
  })
})
