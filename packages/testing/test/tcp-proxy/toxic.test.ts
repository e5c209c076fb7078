import { expect } from 'chai'
import { cutAfter, delay, hold, judge, limit, type Moment, swallow } from '../../src/tcp-proxy/toxic.ts'

const moment = (changes: Partial<Moment> = {}): Moment => ({
  now: 1_000,
  arrivedAt: 1_000,
  chance: 0.5,
  previous: { at: 0, bytes: 0 },
  passedBytes: 0,
  ...changes,
})

describe('toxic', () => {
  it('delays each piece from its own arrival, with its own jitter', () => {
    expect(delay(100)(moment())).to.deep.equal({ waitMs: 100 })
    expect(delay(100)(moment({ arrivedAt: 950 }))).to.deep.equal({ waitMs: 50 })
    expect(delay(100, 40)(moment({ chance: 0 }))).to.deep.equal({ waitMs: 100 })
    expect(delay(100, 40)(moment({ chance: 0.5 }))).to.deep.equal({ waitMs: 120 })
  })

  it('limits the rate by the time that the previous piece should have taken', () => {
    const slow = limit(1_000)
    expect(slow(moment({ previous: { at: 1_000, bytes: 50 } }))).to.deep.equal({ bytesMax: 50, waitMs: 50 })
    expect(slow(moment({ previous: { at: 970, bytes: 50 } }))).to.deep.equal({ bytesMax: 50, waitMs: 20 })
    expect(slow(moment({ previous: { at: 1_000, bytes: 1_000_000 } }))).to.deep.equal({ bytesMax: 50, waitMs: 50 })
    expect(limit(1)(moment({ previous: { at: 1_000, bytes: 1 } }))).to.deep.equal({ bytesMax: 1, waitMs: 1_000 })
  })

  it('cuts after a number of bytes since the connection was made', () => {
    expect(cutAfter(10)(moment({ passedBytes: 4 }))).to.deep.equal({ bytesLeft: 6 })
    expect(cutAfter(10)(moment({ passedBytes: 40 }))).to.deep.equal({ bytesLeft: 0 })
  })

  it('combines toxics: the worst verdict counts', () => {
    const none = {
      waitMs: 0,
      bytesMax: Number.POSITIVE_INFINITY,
      bytesLeft: Number.POSITIVE_INFINITY,
      swallowed: false,
    }
    expect(judge([], moment())).to.deep.equal(none)
    expect(judge([delay(10), delay(30), delay(20)], moment())).to.deep.equal({ ...none, waitMs: 30 })
    expect(judge([delay(10), hold, swallow, limit(1_000), cutAfter(7)], moment())).to.deep.equal({
      waitMs: Number.POSITIVE_INFINITY,
      bytesMax: 50,
      bytesLeft: 7,
      swallowed: true,
    })
    expect(judge([delay(10)], moment({ now: 5_000 }))).to.deep.equal(none)
  })
})
