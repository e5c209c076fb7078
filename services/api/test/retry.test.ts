import { expect } from 'chai'
import { retryTransient } from '../src/retry.ts'

const failure = (code: string) => Object.assign(new Error('no'), { code })
const withoutDelay = { random: () => 0 }

describe('Work for PostgreSQL', () => {
  it('is tried again after what may pass', async () => {
    const failures = [failure('40001'), failure('ECONNREFUSED')]
    const work = async () => {
      const next = failures.shift()
      if (next) throw next
      return 'done'
    }
    expect(await retryTransient(work, withoutDelay)).to.equal('done')
  })

  for (const [code, expected] of [
    ['40P01', 4],
    ['42P01', 1],
    ['23505', 1],
  ] as const) {
    it(`that always fails with ${code} is tried ${expected === 1 ? 'once' : `${expected} times`}`, async () => {
      let attempts = 0
      const work = async () => {
        attempts += 1
        throw failure(code)
      }
      const error = await retryTransient(work, withoutDelay).catch((reason: unknown) => reason)
      expect(error).to.have.property('code', code)
      expect(attempts).to.equal(expected)
    })
  }

  it('is not begun again by a process that froze until its time was over', async () => {
    let attempts = 0
    const work = async () => {
      attempts += 1
      // Older than the timer of the pause after this attempt, so it fires before that one.
      setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300))
      throw failure('40001')
    }
    const error = await retryTransient(work, { ...withoutDelay, deadlineMs: 200 }).catch((reason: unknown) => reason)
    expect(error).to.have.property('code', '40001')
    expect(attempts).to.equal(1)
  })
})
