import { expect } from 'chai'
import { FAULTS } from '../src/faults/index.ts'
import { planSchedule } from '../src/schedule.ts'

const PLAN = { seed: 7, durationMs: 30 * 60_000, faults: FAULTS, atOnce: 3, restMs: [500, 4_000] } as const
const endOf = ({ fault, atMs, lastsMs }: ReturnType<typeof planSchedule>[number]) => atMs + lastsMs + fault.recoveryMs

describe('schedule of faults', () => {
  it('schedule of faults is the same for the same seed, and differs for another one', () => {
    expect(planSchedule(PLAN)).to.deep.equal(planSchedule(PLAN))
    expect(planSchedule(PLAN)).not.to.deep.equal(planSchedule({ ...PLAN, seed: 8 }))
  })

  it('schedule of faults has every fault, each about equally often', () => {
    const times = Map.groupBy(planSchedule(PLAN), ({ fault }) => fault)
    expect(times.size).to.equal(FAULTS.length)
    const counts = [...times.values()].map(({ length }) => length)
    expect(Math.max(...counts) - Math.min(...counts)).to.be.at.most(2)
  })

  it('never overlaps two faults that disturb the same part, nor more faults than its limit', () => {
    const schedule = planSchedule(PLAN)
    for (const one of schedule) {
      const others = schedule.filter((other) => other !== one && other.atMs <= one.atMs && endOf(other) > one.atMs)
      expect(others.length).to.be.below(PLAN.atOnce)
      for (const { fault } of others)
        expect(fault.disturbs.filter((part) => one.fault.disturbs.includes(part))).to.deep.equal([])
    }
    expect(Math.max(...schedule.map(endOf))).to.be.at.most(PLAN.durationMs)
  })

  it('repeats a single fault as often as the time allows', () => {
    const [first] = FAULTS
    const alone = planSchedule({ ...PLAN, durationMs: 60_000, faults: FAULTS.slice(0, 1) })
    expect(new Set(alone.map(({ fault }) => fault))).to.deep.equal(new Set([first]))
    expect(alone.length).to.be.above(5)
  })
})
