import { expect } from 'chai'
import { judge, ratioOf } from '../../src/against/ratio.ts'

const cpu = { metric: 'cpuUs', what: 'CPU per item', unit: 'µs' }
const measured = (values: readonly number[]) => values.map((cpuUs) => ({ cpuUs }))

describe('ratio of two trees', () => {
  it('ratio of two trees is the median of the ratios of all pairs, not the ratio of two medians', () => {
    const ours = measured([110, 220, 330, 440, 550, 660, 700])
    const theirs = measured([100, 200, 300, 400, 500, 600, 1_000])
    const ratio = ratioOf({ ours, theirs }, cpu)
    expect(ratio.median).to.be.closeTo(1.1, 1e-9)
    expect(ratio.low).to.be.closeTo(0.7, 1e-9)
    expect(ratio.high).to.be.closeTo(1.1, 1e-9)
    expect(ratio.confidence).to.be.closeTo(0.984, 0.001)
  })
})

describe('verdict on a tree', () => {
  const enough = { pairs: 7, quick: false }

  it('says that the tree keeps its speed when the median is at most 3 % above', () => {
    expect(judge({ median: 1.03, low: 1.01, high: 1.09 }, enough)).to.deep.equal({
      keepsSpeed: true,
      reason: 'the median of CPU per item is 3.0 % above, and the interval is above 1.00',
    })
    expect(judge({ median: 0.9, low: 0.85, high: 0.95 }, enough)).to.deep.equal({
      keepsSpeed: true,
      reason: 'the median of CPU per item is 10.0 % below, and the interval is below 1.00',
    })
  })

  it('says that the tree keeps its speed when the interval holds 1.00', () => {
    expect(judge({ median: 1.05, low: 1, high: 1.2 }, enough)).to.deep.equal({
      keepsSpeed: true,
      reason: 'the median of CPU per item is 5.0 % above, and the interval holds 1.00',
    })
  })

  it('says that the tree does not keep its speed when the median is more than 3 % above, and the interval above 1.00', () => {
    expect(judge({ median: 1.031, low: 1.001, high: 1.2 }, enough)).to.deep.equal({
      keepsSpeed: false,
      reason: 'the median of CPU per item is 3.1 % above, and the interval is above 1.00',
    })
  })

  it('gives no verdict for fewer than 7 pairs, nor for the figures of --quick', () => {
    const slow = { median: 2, low: 1.9, high: 2.1 }
    expect(judge(slow, { pairs: 6, quick: false })).to.deep.equal({
      keepsSpeed: undefined,
      reason: 'a verdict needs 7 pairs, and there are 6',
    })
    expect(judge(slow, { pairs: 7, quick: true }).keepsSpeed).to.equal(undefined)
  })
})
