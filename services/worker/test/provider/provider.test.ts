import { aPayment, recordingLogger } from '@cashflow/testing'
import { expect } from 'chai'
import { createProvider, createSimulatedProvider } from '../../src/provider/create-provider.ts'
import { attemptCharge, type Earlier, type Provider } from '../../src/provider/provider.ts'
import { createTimeLimit } from '../../src/time-limit.ts'

const { payment } = aPayment()
/** Of a lease that begins now: the tests may run long after this file is loaded. */
const newLease = () => createTimeLimit(60_000)
const FIRST = { attempts: 0, pending: false }

describe('createProvider', () => {
  it('logs at the start that no money moves, or where payments are charged', () => {
    const { logger, lines } = recordingLogger()
    createProvider({ kind: 'simulated', delayMs: 0, successRate: 0.7 }, logger)
    createProvider({ kind: 'http', url: 'https://pay.internal/charges', token: 'hunter2' }, logger)
    expect(lines.map(({ level, message, fields }) => [level, message, fields])).to.deep.equal([
      ['warn', 'the provider is simulated: no money moves, and chance settles each payment', { success_rate: 0.7 }],
      ['info', 'payments are charged at the HTTP provider', { url: 'https://pay.internal/charges' }],
    ])
  })
})

describe('simulated provider', () => {
  for (const [chance, outcome] of [
    [0, 'approved'],
    [0.6999, 'approved'],
    [0.7, 'declined'],
    [0.9999, 'declined'],
  ] as const) {
    it(`answers ${outcome} for the random number ${chance} with a success rate of 0.7`, async () => {
      const provider = createSimulatedProvider({ delayMs: 0, successRate: 0.7 }, () => chance)
      expect(await attemptCharge(provider, payment, { ...FIRST, deadlineMs: 1_000, leaseEnd: newLease() })).to.include({
        outcome,
      })
    })
  }

  it('answers at once without a delay', async () => {
    const provider = createSimulatedProvider({ delayMs: 0, successRate: 1 })
    const deadline = { signal: new AbortController().signal, passed: () => false }
    const nextTurn = new Promise((resolve) => setImmediate(resolve, 'later'))
    expect(
      await Promise.race([provider.charge(payment, deadline, { attempts: 0, pending: false }), nextTurn]),
    ).to.deep.equal({ outcome: 'approved' })
  })

  it('answers after its delay', async () => {
    const provider = createSimulatedProvider({ delayMs: 60_000, successRate: 1 })
    const answer = await attemptCharge(provider, payment, { ...FIRST, deadlineMs: 50, leaseEnd: newLease() })
    expect(answer).to.deep.equal({ outcome: 'unknown', reason: 'no answer within 50 ms' })
  })
})

describe('attempt to charge', () => {
  it('answers unknown at the deadline when the provider ignores it', async () => {
    const deaf = { charge: () => new Promise<never>(() => {}) }
    expect(await attemptCharge(deaf, payment, { ...FIRST, deadlineMs: 30, leaseEnd: newLease() })).to.deep.equal({
      outcome: 'unknown',
      reason: 'no answer within 30 ms',
    })
  })

  // Promise 15
  it('gives the provider a deadline that has passed once the lease has ended', async () => {
    const passed: boolean[] = []
    const looking: Provider = {
      async charge(_payment, deadline) {
        passed.push(deadline.passed())
        return { outcome: 'approved' }
      },
    }
    for (const leaseEnded of [true, false])
      await attemptCharge(looking, payment, { ...FIRST, deadlineMs: 60_000, leaseEnd: { passed: () => leaseEnded } })
    expect(passed).to.deep.equal([true, false])
  })

  it('gives the provider the number of earlier attempts, and whether the charge is pending', async () => {
    const seen: Earlier[] = []
    const counting: Provider = {
      async charge(_payment, _signal, earlier) {
        seen.push(earlier)
        return { outcome: 'approved' }
      },
    }
    const earlier = { attempts: 3, pending: true }
    await attemptCharge(counting, payment, { ...earlier, deadlineMs: 1_000, leaseEnd: newLease() })
    expect(seen).to.deep.equal([earlier])
  })

  // Promise 17
  it('answers unknown when the provider throws synchronously', async () => {
    const throwing = {
      charge() {
        throw new TypeError('not a function')
      },
    }
    expect(await attemptCharge(throwing, payment, { ...FIRST, deadlineMs: 1_000, leaseEnd: newLease() })).to.deep.equal(
      {
        outcome: 'unknown',
        reason: 'not a function',
      },
    )
  })

  it('answers unknown when the provider rejects', async () => {
    const failing = { charge: () => Promise.reject(new Error('socket hang up')) }
    expect(await attemptCharge(failing, payment, { ...FIRST, deadlineMs: 1_000, leaseEnd: newLease() })).to.deep.equal({
      outcome: 'unknown',
      reason: 'socket hang up',
    })
  })
})
