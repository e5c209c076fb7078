import { expect } from 'chai'
import { createOrderCheck } from '../src/benchmarks/relay.ts'

describe('check of the order', () => {
  function seen(...places: number[]) {
    const order = createOrderCheck()
    for (const place of places) order.see({ payment_id: 'one', place })
    return order
  }

  it('counts a message that came before an earlier one of its key', () => {
    expect(seen(0, 2, 1, 3).reordered).to.equal(1)
    expect(seen(1, 0).reordered).to.equal(1)
  })

  it('counts no late duplicate as out of order', () => {
    expect(seen(0, 1, 0, 1, 2).reordered).to.equal(0)
  })

  it('counts the keys whose last message has come', () => {
    const order = seen(0, 1)
    order.see({ payment_id: 'two', place: 0 })
    expect(order.complete(2)).to.equal(1)
  })
})
