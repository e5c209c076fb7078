import { fullJitterMs } from '@cashflow/async'
import { expect } from 'chai'

describe('full jitter', () => {
  const limits = { baseMs: 100, capMs: 5_000 }

  it('is at most the cap of its attempt, as the table in its docstring says', () => {
    const most = [1, 2, 3, 4, 5, 6, 7, 100].map((attempt) => fullJitterMs(attempt, { ...limits, random: () => 1 }))
    expect(most).to.deep.equal([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000])
  })

  it('may be anything down to 0', () => {
    expect(fullJitterMs(7, { ...limits, random: () => 0 })).to.equal(0)
    expect(fullJitterMs(7, { ...limits, random: () => 0.5 })).to.equal(2_500)
  })
})
