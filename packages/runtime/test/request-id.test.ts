import { expect } from 'chai'
import { isRequestId } from '../src/index.ts'

describe('isRequestId', () => {
  it('isRequestId accepts up to 128 letters, digits, points, dashes and underscores', () => {
    for (const id of ['x', 'order-7_a.B', 'a'.repeat(128)]) expect(isRequestId(id), id).to.equal(true)
    for (const id of ['', 'a b', 'é', 'a'.repeat(129), undefined, 7])
      expect(isRequestId(id), String(id)).to.equal(false)
  })

  it('isRequestId refuses an API key, which would be stored and sent to the broker', () => {
    expect(isRequestId('cf_test_0123456789abc_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abc')).to.equal(false)
    expect(isRequestId('retry-of.cf_live_0123456789abc')).to.equal(false)
  })
})
