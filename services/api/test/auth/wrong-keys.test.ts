import { expect } from 'chai'
import { createWrongKeys } from '../../src/auth/wrong-keys.ts'

describe('wrong keys', () => {
  it('wrong keys are too many from the 11th of an address within a second', () => {
    let nowMs = 0
    const wrongKeys = createWrongKeys(() => nowMs)
    const send = (count: number, address: string) =>
      Array.from({ length: count }, () => wrongKeys.isTooMany(address)).filter(Boolean).length
    expect(send(12, '203.0.113.1')).to.equal(2)
    expect(send(10, '203.0.113.2')).to.equal(0)
    nowMs = 999
    expect(send(1, '203.0.113.1')).to.equal(1)
    nowMs = 1_000
    expect(send(11, '203.0.113.1')).to.equal(1)
  })

  it('wrong keys are counted for a bounded number of addresses', () => {
    const wrongKeys = createWrongKeys(() => 0)
    for (let n = 0; n < 10_000; n += 1) wrongKeys.isTooMany(`address ${n}`)
    expect(Array.from({ length: 20 }, () => wrongKeys.isTooMany('one more'))).not.to.include(true)
    expect(Array.from({ length: 11 }, () => wrongKeys.isTooMany('address 1'))).to.include(true)
  })
})
