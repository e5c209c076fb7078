import type { Payment } from '@cashflow/domain'
import { aPayment, eventually, recordingLogger } from '@cashflow/testing'
import { expect } from 'chai'
import type { Admission, Permit } from '../../src/provider/admission.ts'
import { createBreaker } from '../../src/provider/breaker.ts'
import type { ProviderAnswer } from '../../src/provider/provider.ts'

const APPROVED: ProviderAnswer = { outcome: 'approved' }
const PENDING: ProviderAnswer = { outcome: 'pending' }
const UNKNOWN: ProviderAnswer = { outcome: 'unknown', reason: 'HTTP 503' }
const REFUSED: ProviderAnswer = { outcome: 'refused', reason: 'HTTP 400' }
const REJECTED: ProviderAnswer = { outcome: 'rejected', reason: 'HTTP 403' }
const REFUSES = 'provider refuses our requests, nothing is claimed'
const OPEN_MS = 150
const never = new AbortController().signal
const newPayment = () => aPayment().payment

describe('circuit breaker of a provider that refuses payments', () => {
  const { logger, lines, logged } = recordingLogger()
  let answers: (payment: Payment) => ProviderAnswer | Promise<ProviderAnswer>
  let breaker: Admission

  function create(openMs = OPEN_MS): void {
    lines.length = 0
    const provider = { charge: async (payment: Payment) => await answers(payment) }
    breaker = createBreaker({ provider, logger, failuresMax: 3, openMs })
  }
  beforeEach(() => create())
  afterEach(() => breaker.stop())

  async function use(permit: Permit | undefined, payment: Payment): Promise<ProviderAnswer | undefined> {
    const attempt = { attempts: 0, pending: false, deadlineMs: 60_000, leaseEnd: { passed: () => false } }
    return await permit?.charge(payment, attempt).finally(() => permit.release())
  }
  async function attempt(answer: ProviderAnswer, payment = newPayment()): Promise<ProviderAnswer | undefined> {
    answers = () => answer
    return await use(await breaker.admit(never, payment.id), payment)
  }

  it('opens when three different payments were refused without an answer between them', async () => {
    const [a, b] = [newPayment(), newPayment()]
    for (const payment of [a, b, a, b, a]) await attempt(REFUSED, payment)
    await attempt(PENDING)
    for (const payment of [a, b, a]) await attempt(REFUSED, payment)
    expect(lines).to.deep.equal([])
    await attempt(REFUSED)
    expect(lines).to.deep.equal([
      { level: 'error', message: REFUSES, fields: { reason: 'HTTP 400', wait_ms: OPEN_MS / 50 } },
    ])
    await attempt(APPROVED)
    expect(logged()).to.deep.equal([REFUSES, 'provider is back'])
  })

  it('opens at once after a 403', async () => {
    await attempt(REJECTED)
    expect(lines).to.deep.equal([
      { level: 'error', message: REFUSES, fields: { reason: 'HTTP 403', wait_ms: OPEN_MS } },
    ])
  })

  it('adds to a refusal whether other payments were answered', async () => {
    expect(await attempt(REFUSED)).to.deep.equal({ ...REFUSED, othersAnswered: false })
    await attempt(PENDING)
    expect(await attempt(REFUSED)).to.deep.equal({ ...REFUSED, othersAnswered: true })
  })

  it('closes after a pending answer to a probe, and counts failures from 0 after a pending answer', async () => {
    await attempt(UNKNOWN)
    await attempt(UNKNOWN)
    await attempt(PENDING)
    await attempt(UNKNOWN)
    await attempt(UNKNOWN)
    expect(logged()).to.deep.equal([])
    await attempt(UNKNOWN)
    await attempt(PENDING)
    expect(logged()).to.deep.equal(['provider is away, nothing is claimed', 'provider is back'])
  })

  it('probes with a payment that was not refused, or with the payment that was refused the longest ago', async () => {
    const refused = [newPayment(), newPayment(), newPayment()]
    create(OPEN_MS * 50)
    for (const payment of refused) await attempt(REFUSED, payment)
    const other = newPayment()
    const admitted: string[] = []
    const probes: Promise<unknown>[] = []
    answers = () => REFUSED
    for (const payment of [...refused.toReversed(), other]) {
      const probe = breaker.admit(never, payment.id).then((permit) => {
        admitted.push(payment.id)
        return use(permit, payment)
      })
      probes.push(probe)
    }
    await Promise.all(probes)
    expect(admitted).to.deep.equal([other, ...refused].map(({ id }) => id))
  })

  it('charges payments that were admitted before refusals opened it, and ignores their answers', async () => {
    create(OPEN_MS * 50 * 1_000)
    const [good, bad, lost] = [newPayment(), newPayment(), newPayment()]
    const early = await Promise.all([good, bad, lost].map(({ id }) => breaker.admit(never, id)))
    for (let refusals = 0; refusals < 3; refusals += 1) await attempt(REFUSED)
    const outcomes = new Map<string, ProviderAnswer>([
      [good.id, APPROVED],
      [bad.id, REFUSED],
      [lost.id, UNKNOWN],
    ])
    answers = ({ id }) => outcomes.get(id) ?? UNKNOWN
    expect(await use(early[0], good)).to.deep.equal(APPROVED)
    expect(await use(early[1], bad)).to.deep.equal({ ...REFUSED, othersAnswered: true })
    expect(await use(early[2], lost)).to.deep.equal(UNKNOWN)
    expect(logged()).to.deep.equal([REFUSES])
    const waiting = breaker.admit(never, good.id)
    expect(breaker.waiting).to.equal(1)
    await breaker.stop()
    expect(await waiting).to.equal(undefined)
  })

  it('probes again after a fiftieth of the wait when a probe was refused, until 32 payments were refused again', async () => {
    const refused = Array.from({ length: 33 }, newPayment)
    for (const payment of [...refused, ...refused, newPayment(), refused[0]]) await attempt(REFUSED, payment)
    expect(lines.map(({ fields }) => fields.wait_ms)).to.deep.equal([OPEN_MS / 50, OPEN_MS, 2 * OPEN_MS])
    await attempt(APPROVED)
    for (let refusals = 0; refusals < 3; refusals += 1) await attempt(REFUSED)
    expect(lines.at(-1)?.fields.wait_ms).to.equal(OPEN_MS / 50)
  })

  // Promise 38
  it('admits a good payment as soon as the hundred bad payments before it have probed', async () => {
    for (let refusals = 0; refusals < 3; refusals += 1) await attempt(REFUSED)
    const good = newPayment()
    answers = ({ id }) => (id === good.id ? APPROVED : REFUSED)
    const payments = [...Array.from({ length: 100 }, newPayment), good]
    const outcomes = payments.map(async (payment) => use(await breaker.admit(never, payment.id), payment))
    expect((await Promise.all(outcomes)).at(-1)).to.deep.equal(APPROVED)
    expect(logged()).to.deep.equal([REFUSES, 'provider is back'])
  }).timeout(5_000)

  it('closes after an answered probe although earlier charges are refused late', async () => {
    const late = Array.from({ length: 10 }, newPayment)
    const refusal = Promise.withResolvers<ProviderAnswer>()
    answers = () => refusal.promise
    const charges = await Promise.all(
      late.map(async (payment) => ({ charged: use(await breaker.admit(never, payment.id), payment) })),
    )
    for (let refusals = 0; refusals < 3; refusals += 1) await attempt(REFUSED)
    const good = newPayment()
    const probe = await breaker.admit(never, good.id)
    const approval = Promise.withResolvers<ProviderAnswer>()
    answers = () => approval.promise
    const probed = use(probe, good)
    refusal.resolve(REFUSED)
    await Promise.all(charges.map(({ charged }) => charged))
    approval.resolve(APPROVED)
    await probed
    await eventually(() => expect(logged()).to.deep.equal([REFUSES, 'provider is back']))
  })
})
