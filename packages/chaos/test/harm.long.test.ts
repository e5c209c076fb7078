import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { FAULTS } from '../src/faults/index.ts'
import { report } from '../src/report.ts'
import { runChaos } from '../src/run.ts'
import { type BrokenBuild, NO_CONSUMER_WATCH, NO_RECONCILER, nodeArgumentsOf } from './broken/broken-builds.ts'

describe('chaos under load', () => {
  let dir: string
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
  })
  after(() => rm(dir, { recursive: true, force: true }))

  async function runOne(faultName: string, build?: BrokenBuild, drainMaxMs?: number) {
    const faults = FAULTS.filter(({ name }) => name === faultName)
    const plan = { seed: 7, minutes: 1 / 6, faults, atOnce: 1, restMs: [0, 0] as const, clients: 8, perSecond: 20 }
    const run = await runChaos({
      ...plan,
      dir: join(dir, `${faultName} ${build?.name}`),
      sizes: { api: 1, relay: 1, worker: 1 },
      ...(build && { nodeArguments: { worker: nodeArgumentsOf(build) } }),
      ...(drainMaxMs && { drainMaxMs }),
      say: () => {},
    })
    return { run, text: report(run, plan), lost: run.violations.filter(({ harm }) => harm === 'lost') }
  }

  it('reports the payments that a build without a reconciler loses, each with its history', async () => {
    const { text, lost } = await runOne('broker-wipe', NO_RECONCILER, 5_000)
    expect(lost, text).not.to.be.empty
    expect(text).to.include('payment.created')
    for (const { paymentId } of lost.slice(0, 3)) expect(text).to.include(paymentId)
  }).timeout(1_200_000)

  it('reports the payments that a build without a consumer watch loses when RabbitMQ forgets consumers', async () => {
    // Longer than the watch takes to notice.
    const { text, lost } = await runOne('consumers-forgotten', NO_CONSUMER_WATCH, 30_000)
    expect(lost, text).not.to.be.empty
  }).timeout(1_200_000)

  // Promise 47
  it('reports no violation of the real build when RabbitMQ forgets consumers', async () => {
    const { run, text } = await runOne('consumers-forgotten')
    expect(run.violations, text).to.deep.equal([])
    expect(run.faultRuns, text).to.not.be.empty
  }).timeout(1_200_000)
})
