import { expect } from 'chai'
import { backoffMs } from '../src/backoff.ts'

describe('backoffMs', () => {
  it('lies anywhere between nothing and a cap that doubles from 100 ms to 5 s', () => {
    const most = [0, 1, 2, 5, 6, 2_000].map((attempt) => backoffMs(attempt, () => 1))
    expect(most).to.deep.equal([100, 200, 400, 3_200, 5_000, 5_000])
    expect(backoffMs(6, () => 0)).to.equal(0)
    expect(backoffMs(6, () => 0.5)).to.equal(2_500)
  })
})
