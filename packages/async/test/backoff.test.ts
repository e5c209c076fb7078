import { fullJitterMs } from '@cashflow/async'
import { expect } from 'chai'

describe('fullJitterMs', () => {
  const limits = { baseMs: 100, capMs: 5_000 }

  it('fullJitterMs is at most the cap of its attempt in the docstring’s table', () => {
    const most = [1, 2, 3, 4, 5, 6, 7, 100].map((attempt) => fullJitterMs(attempt, { ...limits, random: () => 1 }))
    expect(most).to.deep.equal([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000])
  })

  it('fullJitterMs is uniform between 0 and the cap of its attempt', () => {
    expect(fullJitterMs(7, { ...limits, random: () => 0 })).to.equal(0)
    expect(fullJitterMs(7, { ...limits, random: () => 0.5 })).to.equal(2_500)
  })
})
