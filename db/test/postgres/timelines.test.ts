import { nullLogger } from '@cashflow/testing'
import { expect } from 'chai'
import { OldTimelineError } from '../../src/postgres/errors.ts'
import { createTimelines, type LogPlace } from '../../src/postgres/timelines.ts'

const place = (timeline: number, system = 'one'): LogPlace => ({ system, timeline })

describe('timelines of PostgreSQL hosts', () => {
  function begin() {
    const timelines = createTimelines(nullLogger)
    const closed: string[] = []
    const admit = (name: string, at: LogPlace) => timelines.admit(at, () => closed.push(name))
    return { timelines, closed, admit }
  }

  it('db: closes the sessions on a lower timeline once, and no others, when it sees a higher one', () => {
    const { timelines, closed, admit } = begin()
    admit('old', place(1))
    admit('also old', place(1))
    admit('other system', place(1, 'two'))
    timelines.see(place(2))
    admit('new', place(2))
    timelines.see(place(2))
    timelines.see(place(1))
    expect(closed).to.deep.equal(['old', 'also old'])
  })

  it('db: refuses a session on a lower timeline, and says what to do after a backup was restored', () => {
    const { timelines, admit } = begin()
    timelines.see(place(3))
    expect(() => admit('old', place(2))).to.throw(OldTimelineError, /timeline 2.*timeline 3.*restart/)
  })

  it('db: accepts a new system on a lower timeline', () => {
    const { timelines, closed, admit } = begin()
    timelines.see(place(3))
    admit('new', place(1, 'two'))
    expect(closed).to.deep.equal([])
  })

  it('db: ignores the timeline of a standby', () => {
    const { timelines, closed, admit } = begin()
    admit('one', place(1))
    timelines.see({ system: 'one', timeline: undefined })
    timelines.see({ system: 'two', timeline: undefined })
    expect(closed).to.deep.equal([])
  })

  it('db: does not close a session that has ended', () => {
    const { timelines, closed, admit } = begin()
    admit('ended', place(1))()
    timelines.see(place(2))
    expect(closed).to.deep.equal([])
  })
})
