import { expect } from 'chai'
import { costsOf, longestOutageMs } from '../src/costs.ts'
import type { Facts } from '../src/facts.ts'
import { CREATED, ENDED, GOOD, WISH } from './good-facts.ts'

const RUN = { from: 0, to: 10_000 }

/** Each 201 at its time, and other answers in between. */
function acceptedAt(...times: number[]): Partial<Facts> {
  const answers = times.map((at) => ({ at, status: 201 }))
  return { wishes: [{ ...WISH, answers: [...answers, { at: 3_500, status: 503 }, { at: 3_600, status: 'none' }] }] }
}

/** A payment for each pair of times. */
function lived(...lives: [from: number, to: number | null][]): Partial<Facts> {
  const events = lives.flatMap(([from, to], index) => [
    { ...CREATED, paymentId: String(index), committedAt: from },
    ...(to === null ? [] : [{ ...ENDED, paymentId: String(index), committedAt: to }]),
  ])
  return { events }
}

function costOf(change: Partial<Facts>, occurrence: { from: number; healed: number; noEffect?: boolean }) {
  return costsOf({ ...RUN, facts: { ...GOOD, ...change }, occurrences: [{ fault: 'a fault', ...occurrence }] })
}

describe('the costs of a fault', () => {
  it('are how long it lasted, and the longest time without a 201 that overlaps with it', () => {
    const times = acceptedAt(1_000, 3_000, 5_500, 6_000, 9_900)
    const [cost] = costOf({ ...times, ...lived() }, { from: 4_000, healed: 5_700 })
    // From 3,000 to 5,500, which began before it; the longer one at the end is another's.
    expect(cost).to.deep.equal({ fault: 'a fault', lastedMs: 1_700, outageMs: 2_500, drainMs: 0 })
  })

  it('are an outage that begins with the run, and one that begins with it and ends with the run', () => {
    const times = acceptedAt(4_000, 4_100)
    expect(costOf(times, { from: 1_000, healed: 2_000 })[0]?.outageMs).to.equal(4_000)
    expect(costOf(times, { from: 5_000, healed: 6_000 })[0]?.outageMs).to.equal(5_900)
    // It began before the last 201 and ended after it.
    expect(costOf(times, { from: 3_900, healed: 5_000 })[0]?.outageMs).to.equal(5_900)
    expect(costOf(acceptedAt(), { from: 5_000, healed: 6_000 })[0]?.outageMs).to.equal(10_000)
  })

  it('are the time until what was there at its end had ended, whatever came later', () => {
    const lives = lived([1_000, 1_500], [4_000, 8_000], [5_000, 7_000], [5_001, 9_500], [4_500, null])
    expect(costOf(lives, { from: 4_000, healed: 5_000 })[0]?.drainMs).to.equal(3_000)
  })

  it('are nothing where it had no effect', () => {
    expect(costOf({}, { from: 4_000, healed: 5_000, noEffect: true })).to.deep.equal([])
  })
})

describe('the longest outage of a run', () => {
  it('is the longest time between two answers with 201, in whatever order they are known', () => {
    const facts = { ...GOOD, ...acceptedAt(9_000, 2_000, 2_500) }
    expect(longestOutageMs({ ...RUN, facts })).to.equal(6_500)
  })

  it('is not one that began when the load was over', () => {
    const facts = { ...GOOD, ...acceptedAt(3_000, 6_000, 8_000, 60_000) }
    expect(longestOutageMs({ ...RUN, facts })).to.equal(3_000)
  })
})
