import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Plan } from '../src/arguments.ts'
import type { Fault } from '../src/fault.ts'
import { FAULTS } from '../src/faults/index.ts'
import { report } from '../src/report.ts'
import { runChaos } from '../src/run.ts'

/**
 * Faults that need one RabbitMQ node only, and run on every machine. The others, which need three nodes, root or
 * libfaketime, run with `npm run chaos`.
 */
const isQuick = ({ name, needs }: Fault) => needs === undefined && !name.endsWith('-freeze-long')

const PLAN: Plan = {
  seed: 2_492,
  minutes: 2,
  faults: FAULTS.filter(isQuick),
  atOnce: 2,
  restMs: [500, 4_000],
  clients: 8,
  perSecond: 10,
}

describe('chaos with a fixed mix of faults', () => {
  let dir: string
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
  })
  after(() => rm(dir, { recursive: true, force: true }))

  // Promises 1, 2
  it('loses no payment, and doubles none', async () => {
    const run = await runChaos({
      ...PLAN,
      dir,
      sizes: { api: 2, relay: 2, worker: 2, webhooks: 2 },
      say: () => {},
    })
    const text = report(run, PLAN)
    expect(run.violations, text).to.deep.equal([])
    // The run had faults, and settled payments.
    expect(run.faultRuns.length, text).to.be.at.least(run.schedule.length).and.above(15)
    const settled = run.facts.payments.filter(({ status }) => status !== 'PENDING').length
    expect(settled, text).to.be.above(100)
    const { paymentRequests, feeds } = run.facts
    const cancels = new Set(paymentRequests.flatMap((request) => request.cancels.map(({ status }) => status)))
    expect([...cancels], text).to.include.members([200, 409])
    const shown = paymentRequests.filter(({ histories }) => histories.some(({ ids }) => ids.length > 0))
    expect(shown, text).not.to.be.empty
    for (const { pages } of feeds)
      expect(
        pages.filter(({ isStored }) => !isStored),
        text,
      ).not.to.be.empty
    console.log(text.replace(/^/gm, '      '))
  }).timeout(900_000)
})
