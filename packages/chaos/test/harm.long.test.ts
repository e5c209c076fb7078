import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { type BrokenBuild, nodeArgumentsOf } from '../src/broken/broken-build.ts'
import { NO_DELIVERY_WATCH, NO_RECONCILER } from '../src/broken/broken-builds.ts'
import { FAULTS, report, runChaos } from '../src/index.ts'

describe('harm that is done under load', () => {
  let dir: string
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
  })
  after(() => rm(dir, { recursive: true, force: true }))

  async function runOne(faultName: string, build?: BrokenBuild, drainMaxMs?: number) {
    const faults = FAULTS.filter(({ name }) => name === faultName)
    const plan = { seed: 7, minutes: 1 / 6, faults, atOnce: 1, restMs: [0, 0] as const, clients: 8, perSecond: 20 }
    const run = await runChaos({
      ...{ ...plan, dir: join(dir, `${faultName} ${build?.name}`), durationMs: plan.minutes * 60_000 },
      sizes: { api: 1, relay: 1, worker: 1 },
      ...(build && { nodeArguments: { worker: nodeArgumentsOf(build) } }),
      ...(drainMaxMs && { drainMaxMs }),
      say: () => {},
    })
    return { run, said: report(run, plan), lost: run.violations.filter(({ harm }) => harm === 'lost') }
  }

  it('is seen, with the history of each payment', async () => {
    const { said, lost } = await runOne('broker-wipe', NO_RECONCILER, 5_000)
    expect(lost, said).not.to.be.empty
    expect(said).to.include('payment.created')
    for (const { paymentId } of lost.slice(0, 3)) expect(said).to.include(paymentId)
  }).timeout(1_200_000)

  it('is seen where RabbitMQ forgets consumers that do not find it out by themselves', async () => {
    // Longer than a consumer takes to find out.
    const { said, lost } = await runOne('consumers-forgotten', NO_DELIVERY_WATCH, 30_000)
    expect(lost, said).not.to.be.empty
  }).timeout(1_200_000)

  it('is not done where RabbitMQ forgets consumers of ours', async () => {
    const { run, said } = await runOne('consumers-forgotten')
    expect(run.violations, said).to.deep.equal([])
    expect(run.occurrences, said).to.not.be.empty
  }).timeout(1_200_000)
})
