import { setImmediate } from 'node:timers/promises'
import { aPayment, nullLogger } from '@cashflow/testing'
import { expect } from 'chai'
import { type Admission, createAdmission, type Permit } from '../../src/provider/admission.ts'
import { createBreaker } from '../../src/provider/breaker.ts'
import type { ProviderAnswer } from '../../src/provider/provider.ts'

const { payment } = aPayment()
const never = new AbortController().signal

describe('admission of two charges at the same time', () => {
  let answers: PromiseWithResolvers<ProviderAnswer>[]
  let admitted: string[]
  let admission: Admission

  beforeEach(() => {
    answers = []
    admitted = []
    const provider = {
      charge() {
        const answer = Promise.withResolvers<ProviderAnswer>()
        answers.push(answer)
        return answer.promise
      },
    }
    admission = createAdmission(createBreaker({ provider, logger: nullLogger, failuresMax: 10, openMs: 50 }), 2)
  })

  async function admit(name: string, signal = never): Promise<Permit> {
    const permit = await admission.admit(signal, payment.id)
    admitted.push(permit ? name : `${name} not`)
    return permit as Permit
  }
  const charge = (permit: Permit) =>
    permit.charge(payment, { attempts: 0, pending: false, deadlineMs: 60_000, leaseEnd: { passed: () => false } })

  it('admits waiting payments in their order, each when a charge has ended, settled or not', async () => {
    const [a, b] = await Promise.all([admit('a'), admit('b')])
    const others = [admit('c'), admit('d')]
    const charges = [charge(a), charge(b)]
    await setImmediate()
    expect(admitted).to.deep.equal(['a', 'b'])
    answers[1]?.resolve({ outcome: 'approved' })
    await charges[1]
    await setImmediate()
    expect(admitted).to.deep.equal(['a', 'b', 'c'])
    b.release()
    b.release()
    await setImmediate()
    expect(admitted, 'a slot is released once').to.deep.equal(['a', 'b', 'c'])
    a.release()
    await Promise.all(others)
    expect(admitted).to.deep.equal(['a', 'b', 'c', 'd'])
  })

  it('skips a waiting delivery whose channel is gone, even when two slots become free at the same time', async () => {
    const [a, b] = await Promise.all([admit('a'), admit('b')])
    const channel = new AbortController()
    const others = [admit('c', channel.signal), admit('d'), admit('e'), admit('f')]
    channel.abort()
    a.release()
    b.release()
    await Promise.all(others.slice(0, 3))
    await setImmediate()
    expect(admitted).to.have.members(['a', 'b', 'c not', 'd', 'e'])
  })

  it('frees the slot of a delivery that the breaker does not admit', async () => {
    const failing = charge(await admit('a'))
    answers[0]?.resolve({ outcome: 'rejected', reason: 'HTTP 401' })
    await failing
    const channel = new AbortController()
    const others = [admit('b', channel.signal), admit('c', channel.signal), admit('d')]
    await setImmediate()
    expect(admission.waiting).to.equal(2)
    channel.abort()
    await Promise.all(others)
    expect(admitted, 'd is the probe').to.have.members(['a', 'b not', 'c not', 'd'])
  })

  it('admits none of the waiting deliveries when the worker stops', async () => {
    await Promise.all([admit('a'), admit('b')])
    const others = [admit('c'), admit('d')]
    await admission.stop()
    await Promise.all([...others, admit('e')])
    expect(admitted).to.have.members(['a', 'b', 'c not', 'd not', 'e not'])
  })

  it('counts the deliveries that wait for the provider, and not those that wait for a slot', async () => {
    await Promise.all([admit('a'), admit('b')])
    void admit('c')
    await setImmediate()
    expect(admission.waiting).to.equal(0)
  })
})
