import { expect } from 'chai'
import type { Overview, StatusRow } from '../src/answers.ts'
import { latestOf } from '../src/page/overview/chart-kinds.ts'
import { attentionOf } from '../src/page/overview/over.ts'
import { cappedText, perSecond, stagesOf, UNKNOWN } from '../src/page/overview/stages.ts'

const NOTHING_READ: Overview = {
  at: '2026-12-01T12:00:00.000Z',
  rates: null,
  rows: [],
  instances: null,
  pauses: null,
  outbox: null,
  queues: {},
  dead_letters: null,
  pending: null,
  webhooks: null,
}

const over = (section: string, label: string, text = 'OVER 0: they wait for an operator'): StatusRow => ({
  ...{ section, label, value: '3', over: text },
})

describe('overview of the page', () => {
  it('page overview: what PostgreSQL could not read is a dash, never a zero', () => {
    const stages = Object.values(stagesOf(NOTHING_READ))
    for (const { facts, instances, pause, isKnown } of stages) {
      expect(isKnown).to.equal(false)
      for (const { value } of facts) expect(value).to.equal(UNKNOWN)
      expect([instances, pause]).to.deep.equal([null, null])
    }
  })

  it('page overview: a row over its threshold marks the part of the pipeline that it is about', () => {
    const marked = (row: StatusRow) =>
      Object.entries(stagesOf({ ...NOTHING_READ, rows: [row] }))
        .filter(([, stage]) => stage.over.length > 0)
        .map(([name]) => name)
    expect(marked(over('instances', 'relay'))).to.deep.equal(['outbox'])
    expect(marked(over('pauses', 'worker'))).to.deep.equal(['worker'])
    expect(marked(over('outbox', 'payment.created'))).to.deep.equal(['outbox'])
    expect(marked(over('dead letters', 'worker'))).to.deep.equal(['worker'])
    expect(marked(over('dead letters', 'queue'))).to.deep.equal(['broker'])
    expect(marked(over('payments', 'parked'))).to.deep.equal(['provider'])
    expect(marked(over('webhooks', 'oldest due'))).to.deep.equal(['webhooks'])
    expect(marked(over('database', 'oldest snapshot'))).to.deep.equal([])
    expect(marked({ ...over('outbox', 'payment.created'), over: null })).to.deep.equal([])
  })

  it('page overview: the outbox has the messages of all topics and the longest lag', () => {
    const outbox = [
      { topic: 'a', messages: 10_000, capped: true, lag_ms: 1_000 },
      { topic: 'b', messages: 5, capped: false, lag_ms: 90_000 },
    ]
    const { facts } = stagesOf({ ...NOTHING_READ, outbox }).outbox
    expect(facts.map(({ value }) => value)).to.deep.equal(['10,005+', '1 min 30 s'])
    expect([10_000, 10_001].map(cappedText)).to.deep.equal(['10,000', '10,000+'])
    expect([undefined, 12.3].map(perSecond)).to.deep.equal([UNKNOWN, '12/s'])
  })

  it('page overview: a row that needs attention has its threshold, its meaning and the view to act in', () => {
    expect(attentionOf(over('payments', 'parked'))).to.deep.equal({
      title: 'Payments: parked',
      value: '3',
      limit: 'over 0',
      meaning: 'They wait for an operator',
      link: { href: '/payments?waiting_for=operator', text: 'Show the parked payments' },
    })
    expect(attentionOf(over('dead letters', 'a b')).link?.href).to.equal('/dead-letters?source=a+b')
    const gone = attentionOf(over('instances', 'relay', 'GONE or frozen. Its host has no other process'))
    expect([gone.limit, gone.meaning, gone.link]).to.deep.equal([
      ...['gone or frozen', 'Its host has no other process', null],
    ])
    const unread = attentionOf(over('not read', 'pending', 'PostgreSQL cannot read it'))
    expect([unread.limit, unread.meaning]).to.deep.equal(['', 'PostgreSQL cannot read it'])
  })

  it('page overview: the latest value of a chart is that of the last point with one', () => {
    expect(latestOf([1, null, 3, null])).to.equal(2)
    expect(latestOf([null, null])).to.equal(undefined)
    expect(latestOf([])).to.equal(undefined)
  })
})
