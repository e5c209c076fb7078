import { aPayment, nullLogger } from '@cashflow/testing'
import { expect } from 'chai'
import { createAdmission } from '../../src/provider/admission.ts'
import { createBreaker } from '../../src/provider/breaker.ts'
import type { ProviderAnswer } from '../../src/provider/provider.ts'

const { payment } = aPayment()
const UNKNOWN: ProviderAnswer = { outcome: 'unknown', reason: 'HTTP 503' }
const ATTEMPT = { attempts: 0, pending: false, deadlineMs: 60_000, leaseEnd: { passed: () => false } }

describe('state of the circuit breaker in metrics', () => {
  it('breaker shows its state, its slots, and each answer of the provider with the time that it took', async () => {
    const answers: string[] = []
    const onAnswer = ({ outcome }: ProviderAnswer, seconds: number) => {
      expect(seconds).to.be.within(0, 5)
      answers.push(outcome)
    }
    let charge: () => Promise<ProviderAnswer> = async () => UNKNOWN
    const provider = { charge: () => charge() }
    const options = { provider, logger: nullLogger, failuresMax: 3, openMs: 20, onAnswer }
    const admission = createAdmission(createBreaker(options), 5)
    const attempt = async () => {
      const permit = await admission.admit(new AbortController().signal, payment.id)
      return permit?.charge(payment, ATTEMPT).finally(() => permit.release())
    }
    expect(admission).to.include({ state: 'closed', slotsInUse: 0 })
    for (let failures = 0; failures < 3; failures += 1) await attempt()
    expect(admission).to.include({ state: 'open', slotsInUse: 0 })
    const asked = Promise.withResolvers<void>()
    const answer = Promise.withResolvers<ProviderAnswer>()
    charge = () => {
      asked.resolve()
      return answer.promise
    }
    const probe = attempt()
    await asked.promise
    expect(admission).to.include({ state: 'half_open', slotsInUse: 1 })
    answer.resolve({ outcome: 'approved' })
    await probe
    expect(admission).to.include({ state: 'closed', slotsInUse: 0 })
    expect(answers).to.deep.equal(['unknown', 'unknown', 'unknown', 'approved'])
    await admission.stop()
  })
})
