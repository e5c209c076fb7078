import { expect } from 'chai'
import type { Earlier } from '../src/provider/provider.ts'
import { pendingDelayMs, planRelease } from '../src/release-plan.ts'

const FIRST: Earlier = { attempts: 0, pending: false }
const LIMITS = { attemptsMax: 10, pendingMaxMs: 60_000, random: () => 0.5 }
const counts = { attempts: 0, refusals: 0, pendingMs: undefined }

describe('what becomes of a payment that the provider does not settle', () => {
  it('is asked for again after 30 s, 1 min, 2 min, then every 5 min, while it is not decided', () => {
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
    it(`is asked for again after ${delayMs} ms when the provider says ${retryAfterMs} ms, however long it is pending`, () => {
      for (const pendingMs of [0, 100_000_000]) expect(pendingDelayMs(pendingMs, retryAfterMs)).to.equal(delayMs)
    })
  }

  it('is parked by a pending answer that comes later than the limit, and not before', () => {
    const { mustPark, parkReason } = planRelease({ outcome: 'pending' }, FIRST, LIMITS)
    const over = [0, 60_000, 60_001].map((pendingMs) => mustPark({ ...counts, attempts: 9, refusals: 9, pendingMs }))
    expect(over).to.deep.equal([false, false, true])
    expect(parkReason).to.equal('the provider has not decided within PROVIDER_PENDING_MAX_MS (60000)')
  })

  it('is charged again between 30 and 60 s after a refusal', () => {
    const delays = [0, 0.5, 0.999].map((chance) => {
      const plan = planRelease({ outcome: 'refused', reason: 'HTTP 400' }, FIRST, { ...LIMITS, random: () => chance })
      return Math.round(plan.delayMsAfter(counts))
    })
    expect(delays).to.deep.equal([30_000, 45_000, 59_970])
  })

  it('counts a refusal, and is parked at the third, only where other payments were answered', () => {
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
    it(`has a dead letter that tells of a charge there may be, after ${JSON.stringify(earlier)}`, () => {
      const answer = { outcome: 'refused', reason: 'HTTP 400 to the look-up', othersAnswered: true } as const
      expect(planRelease(answer, earlier, LIMITS).parkReason).to.equal(
        'the provider refused the payment 3 times: HTTP 400 to the look-up; an earlier request may have charged it',
      )
    })
  }
})
