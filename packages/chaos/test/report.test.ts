import { expect } from 'chai'
import { FAULTS } from '../src/faults/index.ts'
import { checkInvariants } from '../src/invariants.ts'
import { describeViolations, report } from '../src/report.ts'
import type { Run } from '../src/run.ts'
import { GOOD, ID, LETTER, POSTED } from './good-facts.ts'

const PLAN = {
  seed: 7,
  minutes: 5,
  faults: FAULTS.slice(0, 3),
  atOnce: 2,
  clients: 8,
  perSecond: 10,
  restMs: [500, 4_000] as const,
}
const [FIRST = '', SECOND = '', THIRD = ''] = PLAN.faults.map(({ name }) => name)
const FACTS = {
  ...GOOD,
  letters: [LETTER],
  requests: [POSTED, { ...POSTED, method: 'GET' }],
  paymentRequests: Array.from({ length: 30 }, (_, index) => ({
    merchantId: 'merchant',
    reference: `${index}`,
    amountMinor: 1,
    currency: 'USD',
  })).map((paymentRequest) => ({
    ...paymentRequest,
    answers: [{ at: 1_000, status: 500 }],
    views: [],
    foreignViews: [],
    cancels: [],
    histories: [],
  })),
}
const RUN: Run = {
  schedule: [],
  leftOut: [],
  madeDue: 0,
  facts: FACTS,
  violations: checkInvariants(FACTS),
  from: 0,
  to: 2_000,
  drainMs: 1_000,
  errors: {},
  faultRuns: [
    { fault: FIRST, from: 0, recoveredAt: 500 },
    { fault: FIRST, from: 1_000, recoveredAt: 1_000, noEffect: true },
    { fault: SECOND, from: 1_000, recoveredAt: 1_000, noEffect: true },
  ],
}

describe('report of chaos', () => {
  it('shows the command that repeats the run', () => {
    const line = `npm run chaos -- --seed 7 --minutes 5 --faults ${FIRST},${SECOND},${THIRD}`
    expect(report(RUN, PLAN)).to.include(`${line} --at-once 2 --clients 8 --per-second 10\n`)
  })

  it('names the faults that did not run, and those that had no effect', () => {
    expect(report(RUN, PLAN)).to.match(new RegExp(`^not exercised +${SECOND}, ${THIRD}$`, 'm'))
    expect(report(RUN, PLAN)).to.include(`| ${FIRST} | 2 | 1 | 0.5 s |`)
    expect(report(RUN, PLAN)).to.include(`| ${SECOND} | 1 | 1 |  |`)
  })

  it('report of chaos: shows the alerts that fired, each with the faults before it', () => {
    const faultRuns = [
      { fault: FIRST, from: 1_000, recoveredAt: 9_000 },
      { fault: SECOND, from: 150_000, recoveredAt: 151_000 },
      { fault: THIRD, from: 170_000, recoveredAt: 171_000 },
    ]
    const alerts = [
      { name: 'CashflowNoConsumer', labels: { severity: 'page' }, fromMs: 160_000, toMs: 165_000 },
      { name: 'CashflowInstanceGone', labels: { role: 'api', severity: 'ticket' }, fromMs: 20_000, toMs: 60_000 },
    ]
    expect(report({ ...RUN, faultRuns, alerts }, PLAN)).to.include(`
| CashflowInstanceGone | role api, severity ticket | 20.0 s | 40.0 s | ${FIRST} |
| CashflowNoConsumer | severity page | 160.0 s | 5.0 s | ${SECOND} |`)
    expect(report({ ...RUN, alerts: [] }, PLAN)).to.include('No alert fired.')
    expect(report(RUN, PLAN)).not.to.include('lert')
  })

  it('shows 20 violations of many, and describes all of them separately', () => {
    const broken = (text: string) => text.split('BROKEN').length - 1
    expect(broken(report(RUN, PLAN))).to.equal(20)
    expect(report(RUN, PLAN)).to.include(`and ${RUN.violations.length - 20} more`)
    expect(broken(describeViolations(RUN))).to.equal(RUN.violations.length)
  })

  it('shows the whole history of a payment, with its dead letters and the requests to the provider', () => {
    const [history = ''] = describeViolations({
      facts: FACTS,
      violations: [{ rule: 'a rule', harm: 'lost', what: 'is gone', paymentId: ID }],
    }).split('\n\n')
    expect(history).to.include('dead letter of the worker, payment.retry: HTTP 503')
    expect(history).to.include('the provider was asked for its charge')
  })
})
