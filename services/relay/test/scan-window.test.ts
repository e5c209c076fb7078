import { LANES, type PassResult } from '@cashflow/outbox'
import { expect } from 'chai'
import { MESSAGES_PER_LANE_MAX } from '../src/limits.ts'
import {
  afterFailure,
  afterPass,
  FIRST_WINDOW,
  nextPass,
  type PassWindow,
  type ScanWindow,
} from '../src/scan-window.ts'

const PASSES = 1_000
const PASS_MS = 100
const READ = { dispositions: [], lanesHeld: 1, cutBySize: false, nextLane: 8 }

interface Visits {
  /** Lanes that were read in a pass that had the time. */
  read: Set<number>
  /** Passes over a single lane that failed. */
  tried: PassWindow[]
  last: ScanWindow
  /** The longest time between two reads of a lane, by lane. */
  longestMs: number[]
}

/** Simulates passes. `costOf` is the share of a statement's time that reading a lane's messages costs. */
function visits(costOf: (lane: number, messages: number) => number): Visits {
  const read = new Set<number>()
  const tried: PassWindow[] = []
  const readAt = Array.from({ length: LANES }, () => 0)
  const longestMs = [...readAt]
  let window = FIRST_WINDOW
  for (let pass = 0; pass < PASSES; pass += 1) {
    const now = pass * PASS_MS
    const begun = nextPass(window, now)
    if ('retryMs' in begun) continue
    const lanes = Array.from({ length: begun.laneCount }, (_, index) => (begun.startLane + index) % LANES)
    if (lanes.reduce((sum, lane) => sum + costOf(lane, begun.messagesMax), 0) > 1) {
      if (begun.laneCount === 1) tried.push(begun)
      window = afterFailure(window, begun, now)
      continue
    }
    for (const lane of lanes) {
      read.add(lane)
      longestMs[lane] = Math.max(longestMs[lane] ?? 0, now - (readAt[lane] ?? 0))
      readAt[lane] = now
    }
    window = afterPass(window, begun, {
      ...READ,
      lanesHeld: lanes.length,
      nextLane: (begun.startLane + begun.laneCount) % LANES,
    })
  }
  return { read, tried, last: window, longestMs }
}

describe('scan window of a relay', () => {
  const ALL = Array.from({ length: LANES }, (_, lane) => lane)
  const OTHERS = ALL.filter((lane) => lane !== 7)

  it('covers all lanes when there is time for all', () => {
    expect(visits(() => 0)).to.deep.include({ read: new Set(ALL), last: FIRST_WINDOW })
  })

  for (const [what, costOf] of [
    ['all of them are slow', () => 0.9],
    ['three together are slow', (lane: number) => (lane < 3 ? 0.8 : 0)],
    ['every fifth is slow', (lane: number) => (lane % 5 === 0 ? 0.5 : 0.05)],
  ] as const) {
    it(`reaches each lane in a pass that has the time, when ${what}`, () => {
      expect([...visits(costOf).read]).to.have.members(ALL)
    })
  }

  it('reads a lane that takes too long alone in smaller steps until it moves, and then in larger ones', () => {
    const { read, tried, last } = visits((lane, messages) => (lane === 7 ? messages / 5 : 0))
    expect([...read]).to.have.members(ALL)
    expect(tried.slice(0, 6).map(({ messagesMax }) => messagesMax)).to.deep.equal([128, 64, 32, 16, 8, 8])
    expect([...last.slowLanes.keys()]).to.deep.equal([7])
  })

  it('forgets that a lane was slow once the lane is read in full steps', () => {
    let window = afterFailure(
      { ...FIRST_WINDOW, laneCount: 1 },
      { startLane: 7, laneCount: 1, messagesMax: MESSAGES_PER_LANE_MAX },
      0,
    )
    for (let round = 0; window.slowLanes.size > 0; round += 1) {
      const begun = nextPass({ ...window, startLane: 7 }, 0) as PassWindow
      window = afterPass(window, begun, READ)
      expect(round).to.be.below(8)
    }
  })

  it('reads no more of a slow lane than the size limit allows', () => {
    const begun = { startLane: 7, laneCount: 1, messagesMax: 16 }
    const slowLanes = new Map([[7, { messagesMax: 16, failures: 0, retryAt: 0 }]])
    const dispositions = Array.from({ length: 3 }) as PassResult['dispositions']
    const after = afterPass({ startLane: 7, laneCount: 1, slowLanes }, begun, {
      ...READ,
      dispositions,
      cutBySize: true,
    })
    expect(nextPass({ ...after, startLane: 7 }, 0)).to.deep.equal({ startLane: 7, laneCount: 1, messagesMax: 3 })
  })

  it('tries an unreadable lane less and less often, at last once a minute, and reaches all other lanes', () => {
    const { read, tried, longestMs } = visits((lane) => (lane === 7 ? 2 : 0))
    expect([...read]).to.have.members(OTHERS)
    expect(new Set(tried.map(({ startLane }) => startLane))).to.deep.equal(new Set([7]))
    expect(tried.map(({ messagesMax }) => messagesMax).slice(0, 9)).to.deep.equal([128, 64, 32, 16, 8, 4, 2, 1, 1])
    // In 100 s: after 1, 2, 4, … 32 s, and then once a minute.
    expect(tried.length).to.be.at.most(8 + 7)
    for (const lane of OTHERS) expect(longestMs[lane]).to.be.at.most(LANES * PASS_MS)
  })

  it('allows no pass while each lane waits for its retry', () => {
    const slowLanes = new Map(
      ALL.map((lane) => [lane, { messagesMax: 1, failures: 1, retryAt: 1_000 + ((lane + 29) % 32) }]),
    )
    expect(nextPass({ startLane: 3, laneCount: 1, slowLanes }, 400)).to.deep.equal({ retryMs: 600 })
    expect(nextPass({ startLane: 3, laneCount: 1, slowLanes }, 1_000)).to.deep.equal({
      startLane: 3,
      laneCount: 1,
      messagesMax: 1,
    })
  })

  it('scan window does not widen when an earlier, wider pass ends late', () => {
    const wide = nextPass(FIRST_WINDOW, 0) as PassWindow
    expect(afterFailure({ ...FIRST_WINDOW, startLane: 3, laneCount: 2 }, wide, 0)).to.deep.include({
      startLane: 0,
      laneCount: 2,
    })
  })
})
