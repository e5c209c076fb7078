import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { FAULTS } from '../src/faults/index.ts'
import { report } from '../src/report.ts'
import { runChaos } from '../src/run.ts'
import {
  type BrokenBuild,
  CANCEL_OF_CLAIMED,
  FEED_WITHOUT_WAIT,
  KEY_NOT_STORED,
  LIST_BEHIND,
  NO_CONSUMER_WATCH,
  NO_MERCHANT,
  NO_RECONCILER,
  NO_REVOCATION,
  nodeArgumentsOf,
  REPLAY_OF_THE_PRESENT,
} from './broken/broken-builds.ts'
import {
  BODY_OF_EACH_ATTEMPT,
  CURSOR_FIRST,
  NO_ORDER,
  NO_PREVIOUS_EVENT,
  NO_SIMULATION,
  SETTLED_BEFORE_SENT,
  SIGNATURE_OF_ANOTHER_BODY,
  URL_OF_ANOTHER,
} from './broken/webhook-builds.ts'

/** The arguments of Node that turn each service into its broken builds. */
function argumentsOf(builds: readonly BrokenBuild[]) {
  const byService = Object.entries(Object.groupBy(builds, ({ service }) => service))
  return Object.fromEntries(byService.map(([service, own = []]) => [service, own.flatMap(nodeArgumentsOf)]))
}

describe('chaos under load', () => {
  let dir: string
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
  })
  after(() => rm(dir, { recursive: true, force: true }))

  async function runOne(
    faultNames: readonly string[],
    builds: readonly BrokenBuild[],
    { seed = 7, drainMaxMs = 600_000, minutes = 1 / 6, restMs = [0, 0] as readonly [number, number] } = {},
  ) {
    const faults = FAULTS.filter(({ name }) => faultNames.includes(name))
    const plan = {
      seed,
      minutes,
      faults,
      atOnce: faults.length,
      restMs,
      clients: 8,
      perSecond: 20,
    }
    const run = await runChaos({
      ...plan,
      dir: join(dir, [...faultNames, ...builds.map(({ name }) => name)].join()),
      sizes: { api: 1, relay: 1, worker: 1, webhooks: 1 },
      nodeArguments: argumentsOf(builds),
      drainMaxMs,
      say: () => {},
    })
    return {
      run,
      text: report(run, plan),
      lost: run.violations.filter(({ harm }) => harm === 'lost'),
      broken: [...new Set(run.violations.map(({ rule }) => rule))],
    }
  }

  it('reports the payments that a build without a reconciler loses, each with its history', async () => {
    const { text, lost } = await runOne(['broker-wipe'], [NO_RECONCILER], { drainMaxMs: 5_000 })
    expect(lost, text).not.to.be.empty
    expect(text).to.include('payment.created')
    for (const { paymentId } of lost.slice(0, 3)) expect(text).to.include(paymentId)
  }).timeout(1_200_000)

  it('reports the payments that a build without a consumer watch loses when RabbitMQ forgets consumers', async () => {
    // Longer than the watch takes to notice.
    const { text, lost } = await runOne(['consumers-forgotten'], [NO_CONSUMER_WATCH], { drainMaxMs: 30_000 })
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
      const { broken, text } = await runOne(['key-revoked'], [build])
      expect(broken, text).to.include(rule)
    }).timeout(1_200_000)

  it('reports what builds with wrong lists, events and cancels break while the provider is slow', async () => {
    // Each of them breaks a rule that the others leave alone.
    const builds = [LIST_BEHIND, FEED_WITHOUT_WAIT, CANCEL_OF_CLAIMED]
    const { broken, text } = await runOne(['provider-slow'], builds)
    expect(broken, text).to.include.members([
      'each GET and list finds the payment that was answered with its id, and never an older state',
      'a follower is shown each event of its merchant, whenever it is killed',
      'the provider is never asked about a canceled payment',
    ])
  }).timeout(1_200_000)

  // Each of the builds in one run breaks rules that the others leave alone.
  const webhookCases: [faults: string[], builds: BrokenBuild[], rules: string[]][] = [
    [
      ['receiver-failing'],
      [NO_ORDER, SIGNATURE_OF_ANOTHER_BODY, BODY_OF_EACH_ATTEMPT, NO_PREVIOUS_EVENT, NO_SIMULATION],
      [
        'with ordering "payment" no event is sent before the one before it was accepted',
        'each webhook is signed with the present secret of its endpoint, or with the former one while both sign',
        'all requests about an event have its id and the same body',
        'a webhook has the payment as the feed shows it',
        'each delivery of a payment with webhook_duplicate was accepted twice',
      ],
    ],
    [
      ['webhooks-kill'],
      [CURSOR_FIRST, URL_OF_ANOTHER],
      [
        'each event has a delivery to each endpoint of its merchant that wants it',
        'an endpoint gets events of its merchant and its types only, and none after its deletion',
      ],
    ],
    [['receiver-away'], [SETTLED_BEFORE_SENT], ['each delivery was accepted by its endpoint at least once']],
  ]
  for (const [faults, builds, rules] of webhookCases)
    it(`reports what builds of webhooks break during ${faults.join()}: ${builds.map(({ name }) => name).join(', ')}`, async () => {
      // A process that is killed in its first seconds has not fanned out anything.
      const isKilled = faults.includes('webhooks-kill')
      const { broken, text } = await runOne(faults, builds, isKilled ? { minutes: 2 / 3, restMs: [3_000, 5_000] } : {})
      expect(broken, text).to.include.members(rules)
    }).timeout(1_200_000)

  it('reports no violation of the real build while a key is revoked', async () => {
    const { run, text } = await runOne(['key-revoked'], [])
    expect(run.violations, text).to.deep.equal([])
    const refused = run.facts.keys.flatMap(({ uses }) => uses.filter(({ status }) => status === 401))
    expect(refused, text).to.not.be.empty
    const replays = run.facts.paymentRequests.flatMap(({ answers }) => answers.filter(({ isReplay }) => isReplay))
    expect(replays, text).to.not.be.empty
  }).timeout(1_200_000)

  // Promise 47
  it('reports no violation of the real build when RabbitMQ forgets consumers', async () => {
    const { run, text } = await runOne(['consumers-forgotten'], [])
    expect(run.violations, text).to.deep.equal([])
    expect(run.faultRuns, text).to.not.be.empty
  }).timeout(1_200_000)
})
