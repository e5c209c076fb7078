import { expect } from 'chai'
import { costsOf, longestOutageMs } from '../src/costs.ts'
import type { Facts } from '../src/facts.ts'
import { CREATED, ENDED, GOOD, PAYMENT_REQUEST } from './good-facts.ts'

const RUN = { from: 0, to: 10_000 }

/** Returns facts with a 201 at each time, and other answers between them. */
function acceptedAt(...times: number[]): Partial<Facts> {
  const answers = times.map((at) => ({ at, status: 201 }))
  return {
    paymentRequests: [
      { ...PAYMENT_REQUEST, answers: [...answers, { at: 3_500, status: 503 }, { at: 3_600, status: 'none' }] },
    ],
  }
}

/** Returns facts with a payment for each pair of times. */
function lived(...lives: [from: number, to: number | null][]): Partial<Facts> {
  const events = lives.flatMap(([from, to], index) => [
    { ...CREATED, paymentId: String(index), committedAt: from },
    ...(to === null ? [] : [{ ...ENDED, paymentId: String(index), committedAt: to }]),
  ])
  return { events }
}

function costOf(change: Partial<Facts>, faultRun: { from: number; recoveredAt: number; noEffect?: boolean }) {
  return costsOf({ ...RUN, facts: { ...GOOD, ...change }, faultRuns: [{ fault: 'a fault', ...faultRun }] })
}

describe('costs of a fault', () => {
  it('costs of a fault include the fault’s duration, and the longest time without a 201 that overlaps with it', () => {
    const times = acceptedAt(1_000, 3_000, 5_500, 6_000, 9_900)
    const [cost] = costOf({ ...times, ...lived() }, { from: 4_000, recoveredAt: 5_700 })
    // From 3,000 to 5,500, which began before the fault. The longer outage at the end does not overlap with it.
    expect(cost).to.deep.equal({ fault: 'a fault', lastedMs: 1_700, outageMs: 2_500, drainMs: 0 })
  })

  it('costs of a fault include an outage that begins or ends with the run', () => {
    const times = acceptedAt(4_000, 4_100)
    expect(costOf(times, { from: 1_000, recoveredAt: 2_000 })[0]?.outageMs).to.equal(4_000)
    expect(costOf(times, { from: 5_000, recoveredAt: 6_000 })[0]?.outageMs).to.equal(5_900)
    // It began before the last 201, and ended after it.
    expect(costOf(times, { from: 3_900, recoveredAt: 5_000 })[0]?.outageMs).to.equal(5_900)
    expect(costOf(acceptedAt(), { from: 5_000, recoveredAt: 6_000 })[0]?.outageMs).to.equal(10_000)
  })

  it('costs of a fault include the time until every payment that existed at its end was settled', () => {
    const lives = lived([1_000, 1_500], [4_000, 8_000], [5_000, 7_000], [5_001, 9_500], [4_500, null])
    expect(costOf(lives, { from: 4_000, recoveredAt: 5_000 })[0]?.drainMs).to.equal(3_000)
  })

  it('costs of a fault without effect are empty', () => {
    expect(costOf({}, { from: 4_000, recoveredAt: 5_000, noEffect: true })).to.deep.equal([])
  })
})

describe('longest outage of a run', () => {
  it('longest outage of a run is the longest time between two 201s, in any order of the answers', () => {
    const facts = { ...GOOD, ...acceptedAt(9_000, 2_000, 2_500) }
    expect(longestOutageMs({ ...RUN, facts })).to.equal(6_500)
  })

  it('longest outage of a run does not count times after the end of the load', () => {
    const facts = { ...GOOD, ...acceptedAt(3_000, 6_000, 8_000, 60_000) }
    expect(longestOutageMs({ ...RUN, facts })).to.equal(3_000)
  })
})
