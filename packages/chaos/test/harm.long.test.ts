import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { FAULTS } from '../src/faults/index.ts'
import { report } from '../src/report.ts'
import { runChaos } from '../src/run.ts'
import {
  type BrokenBuild,
  KEY_NOT_STORED,
  NO_CONSUMER_WATCH,
  NO_MERCHANT,
  NO_RECONCILER,
  NO_REVOCATION,
  nodeArgumentsOf,
  REPLAY_OF_THE_PRESENT,
} from './broken/broken-builds.ts'

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
      ...(build && { nodeArguments: { [build.service]: nodeArgumentsOf(build) } }),
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

  const cases: [build: BrokenBuild, rule: string][] = [
    [NO_MERCHANT, 'no payment is seen with the key of another merchant'],
    [KEY_NOT_STORED, 'an idempotency key has one payment, which answers name'],
    [REPLAY_OF_THE_PRESENT, 'all answers of an idempotency key have the body of the creation, byte for byte'],
    [NO_REVOCATION, 'a key is accepted until it is revoked, and refused from 5 seconds later on'],
  ]
  for (const [build, rule] of cases)
    it(`reports what the build with "${build.name}" breaks while a key is revoked`, async () => {
      const { run, text } = await runOne('key-revoked', build)
      expect(
        run.violations.map((violation) => violation.rule),
        text,
      ).to.include(rule)
    }).timeout(1_200_000)

  it('reports no violation of the real build while a key is revoked', async () => {
    const { run, text } = await runOne('key-revoked')
    expect(run.violations, text).to.deep.equal([])
    const refused = run.facts.keys.flatMap(({ uses }) => uses.filter(({ status }) => status === 401))
    expect(refused, text).to.not.be.empty
    const replays = run.facts.paymentRequests.flatMap(({ answers }) => answers.filter(({ isReplay }) => isReplay))
    expect(replays, text).to.not.be.empty
  }).timeout(1_200_000)

  // Promise 47
  it('reports no violation of the real build when RabbitMQ forgets consumers', async () => {
    const { run, text } = await runOne('consumers-forgotten')
    expect(run.violations, text).to.deep.equal([])
    expect(run.faultRuns, text).to.not.be.empty
  }).timeout(1_200_000)
})
