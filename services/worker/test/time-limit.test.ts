import { defined } from '@cashflow/async'
import { expect } from 'chai'
import { createTimeLimit } from '../src/time-limit.ts'

describe('time limit', () => {
  for (const [monotonicMs, wallMs, passed, what] of [
    [99, 99, false, 'before its end'],
    [100, 100, true, 'at its end'],
    [1, 100, true, 'when the machine was suspended, which stops the one clock'],
    [100, -5_000, true, 'when the wall clock was set back'],
  ] as const) {
    it(`time limit has ${passed ? '' : 'not '}passed ${what}`, () => {
      const times = [7, 1_700_000_000_000]
      const limit = createTimeLimit(
        100,
        times.map((_, i) => () => defined(times[i], 'time of a clock')),
      )
      times[0] = 7 + monotonicMs
      times[1] = 1_700_000_000_000 + wallMs
      expect(limit.passed()).to.equal(passed)
    })
  }

  // Promise 15
  it('uses both clocks of the process', () => {
    expect(createTimeLimit(60_000).passed()).to.equal(false)
    for (const clock of [performance, Date]) {
      const { now } = clock
      const limit = createTimeLimit(60_000)
      const ahead = now.call(clock) + 60_000
      clock.now = () => ahead
      try {
        expect(limit.passed()).to.equal(true)
      } finally {
        clock.now = now
      }
    }
  })
})
