import { expect } from 'chai'
import { verdictOn } from '../src/verdict.ts'

const S = 1_000
const H = 3_600 * S
const failed = (attempts: number, random = 0.5) =>
  verdictOn({ attempts, isEarly: false }, { durationMs: 1, status: 500, answer: '' }, () => random)
const answered = (status: number, retryAfterMs?: number, attempts = 0) =>
  verdictOn(
    { attempts, isEarly: false },
    { durationMs: 1, status, answer: '', ...(retryAfterMs !== undefined && { retryAfterMs }) },
    () => 0.5,
  )

describe('schedule of webhooks', () => {
  // Promise 118
  it('webhooks: retries after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h, and expires after 10 attempts', () => {
    const delays = [5 * S, 300 * S, 1_800 * S, 2 * H, 5 * H, 10 * H, 14 * H, 20 * H, 24 * H]
    for (const [attempts, delayMs] of delays.entries()) {
      expect(failed(attempts)).to.deep.equal({ kind: 'failed', delayMs, holdMs: 0 })
      expect(failed(attempts, 0))
        .to.have.property('delayMs')
        .closeTo(0.8 * delayMs, 1)
      expect(failed(attempts, 1))
        .to.have.property('delayMs')
        .closeTo(1.2 * delayMs, 1)
    }
    expect(failed(9)).to.deep.equal({ kind: 'expired', holdMs: 0 })
  })

  it('webhooks: counts 2xx as success and everything else as failure, also a redirect and no answer', () => {
    for (const status of [200, 202, 204, 299]) expect(answered(status)).to.deep.equal({ kind: 'succeeded' })
    for (const status of [199, 301, 302, 304, 307, 308, 400, 404, 410, 500, 503])
      expect(answered(status)).to.include({ kind: 'failed', holdMs: 0 })
    const none = verdictOn({ attempts: 0, isEarly: false }, { durationMs: 1, error: 'timeout' }, () => 0.5)
    expect(none).to.deep.equal({ kind: 'failed', delayMs: 5 * S, holdMs: 0 })
  })

  it('webhooks: holds an overloaded endpoint for 1 s to 1 min, and any endpoint for its Retry-After', () => {
    for (const status of [429, 502, 504]) {
      expect(answered(status)).to.include({ holdMs: S, delayMs: 5 * S })
      expect(answered(status, undefined, 3)).to.include({ holdMs: 8 * S })
      expect(answered(status, undefined, 9)).to.deep.equal({ kind: 'expired', holdMs: 60 * S })
    }
    expect(answered(503, 120 * S)).to.deep.equal({ kind: 'failed', delayMs: 120 * S, holdMs: 120 * S })
    expect(answered(503, 2 * S)).to.deep.equal({ kind: 'failed', delayMs: 5 * S, holdMs: 2 * S })
  })

  it('webhooks: does not count the failure of an attempt that is made before its time', () => {
    const early = verdictOn({ attempts: 9, isEarly: true }, { durationMs: 1, status: 500, answer: '' })
    expect(early).to.deep.equal({ kind: 'failed', delayMs: undefined, holdMs: 0 })
  })
})
