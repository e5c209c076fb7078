import { expect } from 'chai'
import type { Earlier } from '../src/provider/provider.ts'
import { pendingDelayMs, planRelease } from '../src/release-plan.ts'

const FIRST: Earlier = { attempts: 0, pending: false }
const LIMITS = { attemptsMax: 10, pendingMaxMs: 60_000, random: () => 0.5 }
const counts = { attempts: 0, refusals: 0, pendingMs: undefined }

describe('release plan of a payment that the provider did not settle', () => {
  it('asks about a pending payment after 30 s, 1 min, 2 min, then every 5 min', () => {
    const asked: number[] = []
    for (let [at, looks] = [0, 0]; looks < 7; looks += 1) {
      at += pendingDelayMs(at, undefined)
      asked.push(at / 1_000)
    }
    expect(asked).to.deep.equal([30, 90, 210, 510, 810, 1_110, 1_410])
  })

  for (const [retryAfterMs, delayMs] of [
    [0, 1_000],
    [7_000, 7_000],
    [3_600_000, 3_600_000],
  ] as const) {
    it(`asks about a pending payment after ${delayMs} ms when the provider asked for ${retryAfterMs} ms, at any age`, () => {
      for (const pendingMs of [0, 100_000_000]) expect(pendingDelayMs(pendingMs, retryAfterMs)).to.equal(delayMs)
    })
  }

  it('parks a payment after a pending answer later than the limit, and not earlier', () => {
    const { mustPark, parkReason } = planRelease({ outcome: 'pending' }, FIRST, LIMITS)
    const over = [0, 60_000, 60_001].map((pendingMs) => mustPark({ ...counts, attempts: 9, refusals: 9, pendingMs }))
    expect(over).to.deep.equal([false, false, true])
    expect(parkReason).to.equal('the provider has not decided within PROVIDER_PENDING_MAX_MS (60000)')
  })

  it('charges a refused payment again after 30 to 60 s', () => {
    const delays = [0, 0.5, 0.999].map((chance) => {
      const plan = planRelease({ outcome: 'refused', reason: 'HTTP 400' }, FIRST, { ...LIMITS, random: () => chance })
      return Math.round(plan.delayMsAfter(counts))
    })
    expect(delays).to.deep.equal([30_000, 45_000, 59_970])
  })

  it('counts a refusal, and parks the payment at the third, only if other payments were answered', () => {
    for (const othersAnswered of [true, false]) {
      const plan = planRelease({ outcome: 'refused', reason: 'HTTP 400', othersAnswered }, FIRST, LIMITS)
      expect(plan.cause).to.equal(othersAnswered ? 'refused' : 'uncounted')
      expect([2, 3].map((refusals) => plan.mustPark({ ...counts, refusals }))).to.deep.equal([false, othersAnswered])
    }
  })

  for (const earlier of [
    { attempts: 1, pending: false },
    { attempts: 0, pending: true },
  ]) {
    it(`writes into the dead letter that a charge may exist, after ${JSON.stringify(earlier)}`, () => {
      const answer = { outcome: 'refused', reason: 'HTTP 400 to the look-up', othersAnswered: true } as const
      expect(planRelease(answer, earlier, LIMITS).parkReason).to.equal(
        'the provider refused the payment 3 times: HTTP 400 to the look-up; an earlier request may have charged it',
      )
    })
  }
})
