import { expect } from 'chai'
import { createOrderCheck } from '../src/drain/order.ts'

describe('the check of the order', () => {
  function seen(...places: number[]) {
    const order = createOrderCheck()
    for (const place of places) order.see({ payment_id: 'one', place })
    return order
  }

  it('counts a message that came before an earlier one of its key', () => {
    expect(seen(0, 2, 1, 3).overtaken).to.equal(1)
    expect(seen(1, 0).overtaken).to.equal(1)
  })

  it('counts no late duplicate', () => {
    expect(seen(0, 1, 0, 1, 2).overtaken).to.equal(0)
  })

  it('tells how many keys have come to their end', () => {
    const order = seen(0, 1)
    order.see({ payment_id: 'two', place: 0 })
    expect(order.complete(2)).to.equal(1)
  })
})
