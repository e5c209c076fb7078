import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import type { BrokenBuild } from './broken/broken-builds.ts'
import {
  ACK_BEFORE_COMMIT,
  DELETE_BEFORE_CONFIRM,
  NO_RECONCILER,
  PUBLISH_WITHOUT_MANDATORY,
  SETTLE_WITHOUT_FENCE,
} from './broken/broken-builds.ts'
import * as scenarios from './broken/scenarios.ts'
import { createStage, type Findings, PATIENT, type Stage } from './broken/stage.ts'

const { PAYMENTS } = scenarios

interface Case {
  build: BrokenBuild
  when: string
  scenario: scenarios.Scenario
  /** The number of payments in the scenario. */
  count: number
  /** How many of them only a redrive can settle, with the real build. */
  redriven?: number
  /** What the findings show for this build, and never for the real one. */
  harm: (findings: Findings) => void
  /** Whether a redrive repairs the harm. */
  redriveHelps?: boolean
}

const ENDS = 'a payment ends, or is parked with a dead letter that says why'
const ENDS_AS_ANSWERED = 'the final status of a payment is the last answer of the provider'

const isLost =
  (count: number) =>
  ({ broken, pending, redriven }: Findings) => {
    expect(broken).to.include(ENDS)
    expect({ pending, redriven }).to.deep.equal({ pending: count, redriven: 0 })
  }

const CASES: Case[] = [
  {
    build: ACK_BEFORE_COMMIT,
    when: 'a worker is killed during a charge',
    scenario: scenarios.killedAtTheProvider,
    count: 1,
    harm: isLost(1),
    redriveHelps: true,
  },
  {
    build: DELETE_BEFORE_CONFIRM,
    when: 'the broker loses messages that it has not confirmed',
    scenario: scenarios.brokerDiesUnconfirmed,
    count: 1,
    harm: isLost(1),
    redriveHelps: true,
  },
  {
    build: PUBLISH_WITHOUT_MANDATORY,
    when: 'a binding is missing',
    scenario: scenarios.bindingDeleted,
    count: PAYMENTS,
    harm: isLost(PAYMENTS),
    redriveHelps: true,
  },
  {
    build: SETTLE_WITHOUT_FENCE,
    when: 'a frozen worker continues after another worker has claimed its payment',
    scenario: scenarios.wokenAfterItsLease,
    count: 1,
    // By the worker that had lost its claim.
    harm: ({ broken }) => expect(broken).to.deep.equal([ENDS_AS_ANSWERED]),
  },
  {
    build: NO_RECONCILER,
    when: 'the broker loses its disk',
    scenario: scenarios.brokerWiped,
    count: PAYMENTS,
    redriven: PAYMENTS,
    // Twenty rounds of a reconciler.
    harm: ({ broken, pending, overdueMs }) => {
      expect({ broken, pending }).to.deep.equal({ broken: [ENDS], pending: PAYMENTS })
      expect(overdueMs).to.be.above(2_000)
    },
  },
]

describe('broken builds', () => {
  let stage: Stage
  before(async () => {
    stage = await createStage()
  })
  after(() => stage.stop())

  describe('the real build', () => {
    before(async () => {
      await stage.begin()
      await scenarios.withoutFaults(stage)
    })

    for (const { when, scenario, count, redriven = 0 } of CASES) {
      it(`harms no payment when ${when}`, async () => {
        const before = await stage.findings()
        await scenario(stage)
        const clean = { broken: [], pending: 0, ends: before.ends + count, redriven: before.redriven + redriven }
        await eventually(async () => {
          const { overdueMs: _, ...findings } = await stage.findings()
          expect(findings).to.deep.equal(clean)
        }, PATIENT)
      })
    }
  })

  for (const { build, when, scenario, harm, redriveHelps = false } of CASES) {
    it(`the build with "${build.name}" settles all payments without faults, and harms payments when ${when}`, async () => {
      await stage.begin(build)
      await scenarios.withoutFaults(stage)
      await scenario(stage)
      await eventually(async () => harm(await stage.findings()), PATIENT)
      if (!redriveHelps) return
      await scenarios.timePasses(stage)
      await eventually(async () => expect(await stage.findings()).to.include({ pending: 0 }), PATIENT)
    })
  }
})
