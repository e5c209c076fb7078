import { LANES } from '@cashflow/outbox'
import { expect } from 'chai'
import { afterPass, afterTimeout, FIRST_TURN, type Turn } from '../src/turn.ts'

const PASSES = 1_000

/** Goes on as relays do where reading each lane costs a share of the time that a statement has. */
function visits(costOf: (lane: number) => number): { read: Set<number>; tried: Set<number>; last: Turn } {
  const read = new Set<number>()
  const tried = new Set<number>()
  let turn = FIRST_TURN
  for (let pass = 0; pass < PASSES; pass += 1) {
    const lanes = Array.from({ length: turn.span }, (_, index) => (turn.start + index) % LANES)
    if (lanes.reduce((sum, lane) => sum + costOf(lane), 0) > 1) {
      if (turn.span === 1) tried.add(turn.start)
      turn = afterTimeout(turn, turn)
      continue
    }
    for (const lane of lanes) read.add(lane)
    turn = afterPass(turn, (turn.start + turn.span) % LANES)
  }
  return { read, tried, last: turn }
}

describe('the turns of a relay', () => {
  const ALL = Array.from({ length: LANES }, (_, lane) => lane)

  it('look at all lanes, where there is time for all', () => {
    expect(visits(() => 0)).to.deep.include({ read: new Set(ALL), last: FIRST_TURN })
  })

  for (const [what, costOf] of [
    ['all of them are slow', () => 0.9],
    ['three together are slow', (lane: number) => (lane < 3 ? 0.8 : 0)],
    ['every fifth is slow', (lane: number) => (lane % 5 === 0 ? 0.5 : 0.05)],
  ] as const) {
    it(`come to each lane in a pass that has the time, where ${what}`, () => {
      expect([...visits(costOf).read]).to.have.members(ALL)
    })
  }

  it('try a lane alone that takes too long by itself, and come to all others', () => {
    const { read, tried } = visits((lane) => (lane === 7 ? 2 : 0.3))
    expect([...read]).to.have.members(ALL.filter((lane) => lane !== 7))
    expect([...tried]).to.deep.equal([7])
  })

  it('do not widen for a pass that ends later than narrower ones', () => {
    expect(afterTimeout({ start: 3, span: 2 }, FIRST_TURN)).to.deep.equal({ start: 0, span: 2 })
  })
})
