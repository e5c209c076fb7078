import { expect } from 'chai'
import { FAULTS } from '../src/faults/index.ts'
import { checkInvariants } from '../src/invariants.ts'
import { describeViolations, report } from '../src/report.ts'
import type { Run } from '../src/run.ts'
import { GOOD, ID, LETTER, POSTED } from './good-facts.ts'

const PLAN = {
  ...{ seed: 7, minutes: 5, faults: FAULTS.slice(0, 3), atOnce: 2, clients: 8, perSecond: 10 },
  restMs: [500, 4_000] as const,
}
const [FIRST = '', SECOND = '', THIRD = ''] = PLAN.faults.map(({ name }) => name)
const FACTS = {
  ...GOOD,
  letters: [LETTER],
  requests: [POSTED, { ...POSTED, method: 'GET' }],
  wishes: Array.from({ length: 30 }, (_, index) => ({ reference: `${index}`, amountMinor: 1, currency: 'USD' })).map(
    (wish) => ({ ...wish, answers: [{ at: 1_000, status: 500 }], views: [] }),
  ),
}
const RUN: Run = {
  ...{ schedule: [], leftOut: [], facts: FACTS, violations: checkInvariants(FACTS) },
  ...{ from: 0, to: 2_000, drainMs: 1_000, errors: {} },
  occurrences: [
    { fault: FIRST, from: 0, healed: 500 },
    { fault: FIRST, from: 1_000, healed: 1_000, noEffect: true },
    { fault: SECOND, from: 1_000, healed: 1_000, noEffect: true },
  ],
}

describe('the report', () => {
  it('says how to have the run again', () => {
    const line = `npm run chaos -- --seed 7 --minutes 5 --faults ${FIRST},${SECOND},${THIRD}`
    expect(report(RUN, PLAN)).to.include(`${line} --at-once 2 --clients 8 --per-second 10\n`)
  })

  it('names the faults that the run has not met, and those that had no effect', () => {
    expect(report(RUN, PLAN)).to.match(new RegExp(`^not met +${SECOND}, ${THIRD}$`, 'm'))
    expect(report(RUN, PLAN)).to.include(`| ${FIRST} | 2 | 1 | 0.5 s |`)
    expect(report(RUN, PLAN)).to.include(`| ${SECOND} | 1 | 1 |  |`)
  })

  it('shows some violations, where there are many, and all when it is asked to', () => {
    const broken = (text: string) => text.split('BROKEN').length - 1
    expect(broken(report(RUN, PLAN))).to.equal(20)
    expect(report(RUN, PLAN)).to.include(`and ${RUN.violations.length - 20} more`)
    expect(broken(describeViolations(RUN))).to.equal(RUN.violations.length)
  })

  it('has the whole history of a payment, with its dead letters and what the provider was asked', () => {
    const [history = ''] = describeViolations({
      facts: FACTS,
      violations: [{ rule: 'a rule', harm: 'lost', what: 'is gone', paymentId: ID }],
    }).split('\n\n')
    expect(history).to.include('dead letter of the worker, payment.retry: HTTP 503')
    expect(history).to.include('the provider was asked whether it is charged')
  })
})
