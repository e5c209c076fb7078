import { setImmediate } from 'node:timers/promises'
import { defined } from '@cashflow/async'
import { aPayment, eventually, recordingLogger } from '@cashflow/testing'
import { expect } from 'chai'
import type { Admission, Permit } from '../../src/provider/admission.ts'
import { createBreaker } from '../../src/provider/breaker.ts'
import type { Provider, ProviderAnswer } from '../../src/provider/provider.ts'

const { payment } = aPayment()
const APPROVED: ProviderAnswer = { outcome: 'approved' }
const DECLINED: ProviderAnswer = { outcome: 'declined', failureCode: 'no' }
const UNKNOWN: ProviderAnswer = { outcome: 'unknown', reason: 'HTTP 503' }
const REJECTED: ProviderAnswer = { outcome: 'rejected', reason: 'HTTP 401' }
const OPEN_MS = 150
const FIRST = { attempts: 0, pending: false, leaseEnd: { passed: () => false } }

describe('circuit breaker', () => {
  const { logger, lines, logged } = recordingLogger()
  let charge: () => Promise<ProviderAnswer>
  let breaker: Admission
  const never = new AbortController().signal

  function create(provider: Provider, { openMs = OPEN_MS, probeClaimMs = 10_000 } = {}): Admission {
    lines.length = 0
    return createBreaker({ provider, logger, failuresMax: 3, openMs, probeClaimMs })
  }

  beforeEach(() => {
    charge = async () => APPROVED
    breaker = create({ charge: () => charge() })
  })

  async function admit(): Promise<Permit> {
    const permit = await breaker.admit(never, payment.id)
    if (!permit) throw new Error('the breaker was stopped')
    return permit
  }
  const use = (permit: Permit, deadlineMs = 60_000) =>
    permit.charge(payment, { ...FIRST, deadlineMs }).finally(() => permit.release())
  async function attempt(answer: ProviderAnswer): Promise<ProviderAnswer> {
    charge = async () => answer
    return use(await admit())
  }
  async function open(): Promise<void> {
    for (let failures = 0; failures < 3; failures += 1) await attempt(UNKNOWN)
  }
  /** Asks for a permit. `permit` is undefined as long as the payment waits. */
  function admission(): { permit: Permit | undefined } {
    const state: { permit: Permit | undefined } = { permit: undefined }
    void admit().then((permit) => {
      state.permit = permit
    })
    return state
  }

  it('stays closed, and admits at once, as long as the provider answers', async () => {
    for (const answer of [UNKNOWN, UNKNOWN, DECLINED, UNKNOWN, UNKNOWN, APPROVED, UNKNOWN])
      expect(await attempt(answer)).to.deep.equal(answer)
    expect(lines).to.deep.equal([])
  })

  it('opens after failuresMax attempts in a row without an answer, and logs the reason', async () => {
    await open()
    expect(lines).to.deep.equal([
      {
        level: 'error',
        message: 'provider is away, nothing is claimed',
        fields: { reason: 'HTTP 503', wait_ms: OPEN_MS },
      },
    ])
    await admit()
  })

  it('admits no payment while it is open', async () => {
    breaker = create({ charge: () => charge() }, { openMs: 3_600_000 })
    await open()
    const admitted = admission()
    await setImmediate()
    expect(admitted.permit).to.equal(undefined)
  })

  it('opens at once when the provider rejects the credentials', async () => {
    await attempt(REJECTED)
    expect(lines).to.deep.equal([
      {
        level: 'error',
        message: 'provider refuses our requests, nothing is claimed',
        fields: { reason: 'HTTP 401', wait_ms: OPEN_MS },
      },
    ])
  })

  it('counts a provider that throws, and a provider that ignores its deadline', async () => {
    breaker = create({ charge: () => Promise.reject(new Error('socket hang up')) })
    for (let failures = 0; failures < 2; failures += 1) await use(await admit())
    expect(lines).to.deep.equal([])
    breaker = create({ charge: () => new Promise<never>(() => {}) })
    for (let failures = 0; failures < 3; failures += 1)
      expect(await use(await admit(), 10)).to.include({ outcome: 'unknown' })
    expect(logged()).to.deep.equal(['provider is away, nothing is claimed'])
  })

  it('probes with one payment at a time, and admits all payments after an answer', async () => {
    await open()
    const waiting = Array.from({ length: 5 }, () => admission())
    const admitted = () => waiting.flatMap(({ permit }) => permit ?? [])
    await eventually(() => expect(admitted()).to.have.length(1))
    const answer = Promise.withResolvers<ProviderAnswer>()
    charge = () => answer.promise
    const probe = use(defined(admitted()[0], 'permit'))
    answer.resolve(DECLINED)
    await probe
    await eventually(() => expect(admitted()).to.have.length(5))
    expect(logged().at(-1)).to.equal('provider is back')
    for (const permit of admitted().slice(1)) expect(await use(permit)).to.deep.equal(DECLINED)
  })

  // Promise 19
  it('lets another payment probe when the first one does not reach the provider', async () => {
    breaker = create({ charge: () => charge() }, { probeClaimMs: 50 })
    await open()
    const stuck = await admit()
    const next = await admit()
    expect(await use(stuck)).to.deep.equal({ outcome: 'not_attempted' })
    charge = async () => APPROVED
    expect(await use(next)).to.deep.equal(APPROVED)
    expect(logged().at(-1)).to.equal('provider is back')
  })

  it('stays open for twice as long after each failed probe', async () => {
    await open()
    await attempt(UNKNOWN)
    await attempt(UNKNOWN)
    expect(lines.map(({ fields }) => fields.wait_ms)).to.deep.equal([OPEN_MS, 2 * OPEN_MS, 4 * OPEN_MS])
    await attempt(APPROVED)
    await open()
    expect(lines.at(-1)?.fields.wait_ms).to.equal(OPEN_MS)
  })

  it('stays open for as long as the provider asks, up to a minute', async () => {
    for (const [retryAfterMs, waitMs] of [
      [400, 400],
      [3_600_000, 60_000],
      [1, OPEN_MS],
    ] as const) {
      breaker = create({ charge: async () => ({ ...UNKNOWN, retryAfterMs }) })
      for (let failures = 0; failures < 3; failures += 1) await use(await admit())
      expect(lines[0]?.fields.wait_ms).to.equal(waitMs)
    }
  })

  it('gives an unused probe to the next payment', async () => {
    await open()
    const first = await admit()
    const second = admission()
    first.release()
    await eventually(() => expect(second.permit).not.to.equal(undefined))
    expect(await use(defined(second.permit, 'permit'))).to.deep.equal(UNKNOWN)
  })

  it('charges no payment that was admitted before the circuit opened', async () => {
    const early = await admit()
    await open()
    let calls = 0
    charge = async () => {
      calls += 1
      return APPROVED
    }
    expect(await use(early)).to.deep.equal({ outcome: 'not_attempted' })
    expect(calls).to.equal(0)
  })

  it('stays open after a late answer to an attempt from before it opened', async () => {
    const late = Promise.withResolvers<ProviderAnswer>()
    charge = () => late.promise
    breaker = create({ charge: () => charge() }, { openMs: 3_600_000 })
    const slow = use(await admit())
    await open()
    late.resolve(APPROVED)
    expect(await slow).to.deep.equal(APPROVED)
    const admitted = admission()
    await setImmediate()
    expect(admitted.permit).to.equal(undefined)
  })

  it('ignores the answer to a probe during which a late failure opened it again, and probes again', async () => {
    const late = Promise.withResolvers<ProviderAnswer>()
    charge = () => late.promise
    const slow = use(await admit())
    await open()
    const answer = Promise.withResolvers<ProviderAnswer>()
    const probe = await admit()
    charge = () => answer.promise
    const probing = use(probe)
    late.resolve(UNKNOWN)
    await slow
    expect(logged()).to.have.length(2)
    answer.resolve(APPROVED)
    expect(await probing).to.deep.equal(APPROVED)
    expect(logged()).to.have.length(2)
    expect(await attempt(APPROVED)).to.deep.equal(APPROVED)
    expect(logged().at(-1)).to.equal('provider is back')
  })

  it('releases a waiting payment whose signal aborts', async () => {
    await open()
    const channel = new AbortController()
    const waiting = breaker.admit(channel.signal, payment.id)
    channel.abort()
    expect(await waiting).to.equal(undefined)
    // The probe goes to the next payment.
    expect(await attempt(APPROVED)).to.deep.equal(APPROVED)
  })

  it('counts the payments that wait to be admitted', async () => {
    await admit()
    expect(breaker.waiting).to.equal(0)
    await open()
    const channel = new AbortController()
    const gone = [breaker.admit(channel.signal, payment.id), breaker.admit(channel.signal, payment.id)]
    expect(breaker.waiting).to.equal(2)
    channel.abort()
    await Promise.all(gone)
    expect(breaker.waiting).to.equal(0)
    const [first, second] = [admission(), admission()]
    await eventually(() => expect([first, second].filter(({ permit }) => permit)).to.have.length(1))
    expect(breaker.waiting).to.equal(1)
  })

  it('admits no payment after it was stopped', async () => {
    await open()
    const waiting = [breaker.admit(never, payment.id), breaker.admit(never, payment.id)]
    await breaker.stop()
    expect(await Promise.all([...waiting, breaker.admit(never, payment.id)])).to.deep.equal([
      undefined,
      undefined,
      undefined,
    ])
  })
})
