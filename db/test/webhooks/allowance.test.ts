import { expect } from 'chai'
import { allowances, type QueueState } from '../../src/webhooks/allowance.ts'

const QUEUE: QueueState = {
  endpoint_id: 'e',
  is_failing: false,
  is_slow: false,
  held_ms: 0,
  recovering_ms: null,
  recovered: 0,
  is_ramped: false,
}
const allowed = (queue: Partial<QueueState>, options = { deliveriesMax: 256, window: 32 }) =>
  allowances([{ ...QUEUE, ...queue }], options)[0]

describe('allowances of webhook endpoints', () => {
  it('webhooks: an endpoint has its window, a failing one has one attempt, and a held one none', () => {
    expect(allowed({})).to.include({ size: 32, most: 32, early: 0, again_ms: null })
    expect(allowed({ is_failing: true })).to.include({ size: 1, most: 1 })
    expect(allowed({ held_ms: 500 })).to.include({ most: 0, again_ms: 500 })
  })

  // Promise 123
  it('webhooks: eight endpoints that hang leave sockets of a process to others', () => {
    let free = 256
    const held = Array.from({ length: 8 }, () => {
      const most = allowed({}, { deliveriesMax: free, window: 32 })?.most ?? 0
      free -= most
      return most
    })
    expect(held.slice(0, 5)).to.deep.equal([32, 32, 32, 32, 32])
    expect(free).to.be.above(32)
  })

  // Promise 123
  it('webhooks: any number of endpoints that hang leave sockets of a process to others, also if one claim finds them all', () => {
    for (const count of [2, 16, 60]) {
      const given = allowances(Array(count).fill(QUEUE), { deliveriesMax: 256, window: 32 })
      const taken = given.reduce((sum, { most }) => sum + most, 0)
      expect(taken, String(count)).to.be.within(Math.min(64, 256), 240)
    }
    expect(allowances(Array(16).fill(QUEUE), { deliveriesMax: 256, window: 32 })[0]?.most).to.equal(13)
  })

  it('webhooks: due endpoints share the sockets that failing ones leave', () => {
    const queues = [...Array(3).fill(QUEUE), ...Array(4).fill({ ...QUEUE, is_failing: true })]
    const given = allowances(queues, { deliveriesMax: 16, window: 32 })
    expect(given.map(({ most }) => most)).to.deep.equal([2, 2, 2, 1, 1, 1, 1])
  })

  it('webhooks: a recovering endpoint is allowed 1 delivery in the first second, then 2, then 4', () => {
    const early = (seconds: number, recovered: number) => allowed({ recovering_ms: seconds * 1_000 + 250, recovered })
    expect(early(0, 0)).to.include({ early: 1, most: 32, again_ms: 750 })
    expect(early(0, 1)).to.include({ early: 0 })
    expect(early(1, 1)).to.include({ early: 2 })
    expect(early(2, 3)).to.include({ early: 4 })
    expect(early(12, 0)).to.include({ early: 32, is_over: true, again_ms: null })
    expect(allowed({ recovering_ms: 1_250, recovered: 1, is_ramped: true })).to.include({ most: 2, is_ramped: true })
  })
})
