import { recordingLogger } from '@cashflow/testing'
import { expect } from 'chai'
import { retryWhileUnavailable } from '../src/retry.ts'

const withCode = (code: string) => Object.assign(new Error(`error ${code}`), { code })

describe('retryWhileUnavailable', () => {
  const { logger, lines, logged } = recordingLogger()
  beforeEach(() => {
    lines.length = 0
  })

  /** Runs work that fails with these codes, one after another, then succeeds. Each attempt takes `tookMs`. */
  async function attempt(codes: string[], { tookMs = 0 } = {}): Promise<{ attempts: number; outcome: string }> {
    let attempts = 0
    let passedMs = 0
    const work = async () => {
      const code = codes[attempts]
      attempts += 1
      passedMs += tookMs
      if (code !== undefined) throw withCode(code)
      return 'done'
    }
    const { signal } = new AbortController()
    const options = { signal, logger, random: () => 0, now: () => passedMs }
    const outcome = await retryWhileUnavailable(work, options).catch((error: Error) => error.message)
    return { attempts, outcome }
  }
  const times = (count: number, code: string) => Array.from({ length: count }, () => code)

  it('retries for as long as the database is away, slow or in conflict', async () => {
    for (const code of ['ECONNREFUSED', '57P01', '57014', '40P01', '53100'])
      expect(await attempt(times(10, code), { tookMs: 5_000 })).to.deep.equal({ attempts: 11, outcome: 'done' })
  })

  // Promise 41
  it('gives up at the third error that the row itself may have caused', async () => {
    expect(await attempt(times(2, 'XX000'))).to.deep.equal({ attempts: 3, outcome: 'done' })
    expect(await attempt(times(9, 'XX001'))).to.deep.equal({ attempts: 3, outcome: 'error XX001' })
    const between = ['57P01', 'XX001', '57P01', 'XX001', '57P01', 'XX001']
    expect(await attempt(between)).to.deep.equal({ attempts: 6, outcome: 'error XX001' })
  })

  it('gives up at once after an error that another attempt cannot change', async () => {
    expect(await attempt(times(9, '23514'))).to.deep.equal({ attempts: 1, outcome: 'error 23514' })
  })

  // Promise 43
  it('gives up when another session has locked the row for more than a minute', async () => {
    expect(await attempt(times(20, '55P03'), { tookMs: 2_000 })).to.deep.equal({ attempts: 21, outcome: 'done' })
    expect(await attempt(times(99, '55P03'), { tookMs: 2_000 })).to.deep.equal({ attempts: 32, outcome: 'error 55P03' })
    const between = [...times(20, '55P03'), '57P01', ...times(20, '55P03')]
    expect(await attempt(between, { tookMs: 2_000 })).to.deep.equal({ attempts: 42, outcome: 'done' })
  })

  it('logs that the database is away only when it gave no answer', async () => {
    await attempt(['ECONNRESET', '57P03', '57014', 'XX000', '40001'])
    const [away, failed] = ['database away, trying again', 'statement failed, trying again']
    expect(logged()).to.deep.equal([away, away, failed, failed, failed])
  })
})
