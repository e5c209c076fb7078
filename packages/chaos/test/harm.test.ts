import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { nodeArgumentsOf } from '../src/broken/broken-build.ts'
import { NO_RECONCILER } from '../src/broken/broken-builds.ts'
import { FAULTS, report, runChaos } from '../src/index.ts'

describe('harm that is done under load', () => {
  let dir: string
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
  })
  after(() => rm(dir, { recursive: true, force: true }))

  it('is seen, with the history of each payment', async () => {
    const faults = FAULTS.filter(({ name }) => name === 'broker-wipe')
    const plan = { seed: 7, minutes: 1 / 6, faults, atOnce: 1, restMs: [0, 0] as const, clients: 8, perSecond: 20 }
    const run = await runChaos({
      ...{ ...plan, dir, durationMs: plan.minutes * 60_000 },
      sizes: { api: 1, relay: 1, worker: 1 },
      nodeArguments: { worker: nodeArgumentsOf(NO_RECONCILER) },
      drainMaxMs: 5_000,
      say: () => {},
    })
    const said = report(run, plan)
    const lost = run.violations.filter(({ harm }) => harm === 'lost')
    expect(lost, said).not.to.be.empty
    expect(said).to.include('payment.created')
    for (const { paymentId } of lost.slice(0, 3)) expect(said).to.include(paymentId)
  }).timeout(600_000)
})
