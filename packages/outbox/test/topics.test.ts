import { expect } from 'chai'
import { createTopics, type PublishOutcome, type Topics } from '../src/index.ts'
import type { OutboxMessage } from '../src/message.ts'

const NACKED: PublishOutcome = { status: 'nacked' }
const CONFIRMED: PublishOutcome = { status: 'confirmed' }
const UNKNOWN: PublishOutcome = { status: 'unknown', reason: 'deadline' }

describe('knowledge of refused topics', () => {
  let now = 0
  let topics: Topics
  beforeEach(() => {
    now = 1_000_000
    topics = createTopics({ now: () => now, random: () => 0.5 })
  })

  /** Reports a pass that read, of each topic, one message for each outcome. */
  function pass(byTopic: Record<string, PublishOutcome | PublishOutcome[]>) {
    const list = Object.entries(byTopic).flatMap(([topic, outcomes]) =>
      [outcomes].flat().map((outcome) => ({ outcome, message: { topic } as OutboxMessage })),
    )
    return topics.judge(
      list.map(({ message }) => message),
      list.map(({ outcome }) => outcome),
    )
  }
  const isTried = (topic: string, due = true) => topics.dueForTry([{ topic, due }]).length > 0

  it('limits no topic while none is refused', () => {
    expect(pass({ a: CONFIRMED, b: [CONFIRMED, UNKNOWN] }).changes).to.deep.equal([])
    expect(topics.quota().topics).to.deep.equal([])
  })

  it('limits a topic from a pass that nacked all its messages until one is confirmed, and reports each change once', () => {
    expect(pass({ a: [NACKED, NACKED], b: CONFIRMED }).changes).to.deep.equal([
      { topic: 'a', change: 'refused', messages: 2 },
    ])
    expect(topics.quota()).to.deep.equal({ topics: ['a'], perLaneMax: 16 })
    expect(pass({ a: NACKED, b: CONFIRMED }).changes).to.deep.equal([])
    now += 700
    expect(pass({ a: CONFIRMED }).changes).to.deep.equal([{ topic: 'a', change: 'accepted', refusedMs: 700 }])
    expect(topics.quota().topics).to.deep.equal([])
  })

  it('limits a topic of which some messages are nacked, without reporting it as refused', () => {
    const { changes, moveMs } = pass({ a: [CONFIRMED, NACKED], b: CONFIRMED })
    expect(changes).to.deep.equal([])
    expect(topics.quota().topics).to.deep.equal(['a'])
    expect(moveMs('a')).to.equal(1_000)
  })

  it('reports no topic as refused while a message of it had no answer', () => {
    expect(pass({ a: [NACKED, UNKNOWN], b: CONFIRMED }).changes).to.deep.equal([])
    expect(pass({ a: UNKNOWN }).changes).to.deep.equal([])
  })

  it('moves refused messages only if a message of another topic was confirmed within 5 s', () => {
    expect(pass({ a: NACKED }).moveMs('a')).to.equal(undefined)
    expect(pass({ a: NACKED, b: CONFIRMED }).moveMs('a')).to.be.a('number')
    now += 5_000
    expect(pass({ a: NACKED }).moveMs('a')).to.be.a('number')
    now += 1
    expect(pass({ a: NACKED }).moveMs('a')).to.equal(undefined)
  })

  // Promise 35
  it('leaves all messages in their lanes when all topics are refused, even if one was confirmed just before', () => {
    pass({ a: CONFIRMED, b: CONFIRMED })
    const { moveMs } = pass({ a: NACKED, b: NACKED })
    expect([moveMs('a'), moveMs('b')]).to.deep.equal([undefined, undefined])
  })

  it('reads no refused message for a wait that grows with each pass that had to leave them all', () => {
    const waits = Array.from({ length: 8 }, () => {
      pass({ a: NACKED })
      const from = now
      while (topics.quota().perLaneMax === 0) now += 10
      return now - from
    })
    expect(waits).to.deep.equal([550, 1_050, 2_050, 4_050, 5_000, 5_000, 5_000, 5_000])
    pass({ a: NACKED })
    pass({ b: CONFIRMED })
    expect(topics.quota()).to.deep.equal({ topics: ['a'], perLaneMax: 16 })
  })

  it('schedules moved messages for 1 s, and twice as long after each refused try, up to a minute', () => {
    const waits = Array.from({ length: 8 }, () => {
      const waitMs = pass({ a: NACKED, b: CONFIRMED }).moveMs('a') ?? Number.NaN
      // Newer messages are refused as well, which makes the wait no longer.
      now += waitMs - 1
      expect(pass({ a: NACKED, b: CONFIRMED }).moveMs('a')).to.equal(waitMs)
      expect(isTried('a')).to.equal(false)
      now += 1
      expect(isTried('a')).to.equal(true)
      expect(isTried('a')).to.equal(false)
      return waitMs
    })
    expect(waits).to.deep.equal([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
  })

  it('tries an unknown topic when its oldest message is due, with the waits of a refused one', () => {
    expect(isTried('a', false)).to.equal(false)
    const tries = Array.from({ length: 2_000 }, () => {
      now += 100
      return isTried('a') ? 1 : 0
    })
    // In 200 s: after 1, 2, 4, … 32 s, and then once a minute.
    expect(tries.reduce((sum: number, one) => sum + one, 0)).to.equal(9)
  })

  it('tries the next messages of a topic, due or not, after each pass that refused none of them', () => {
    pass({ a: NACKED, b: CONFIRMED })
    expect(isTried('a', false)).to.equal(false)
    expect(topics.reopened).to.equal(false)
    for (let batch = 0; batch < 3; batch += 1) {
      pass({ a: CONFIRMED })
      expect(topics.reopened).to.equal(true)
      expect(isTried('a', false)).to.equal(true)
      expect(isTried('a')).to.equal(false)
    }
    pass({ a: [CONFIRMED, NACKED] })
    expect(isTried('a'), 'the queue is almost full').to.equal(false)
    now += 1_000
    expect(isTried('a')).to.equal(true)
    pass({ a: CONFIRMED })
    topics.dueForTry([])
    expect(topics.reopened, 'no refused message is left').to.equal(false)
  })

  it('forgets a topic without answers for two minutes', () => {
    pass({ a: NACKED, b: CONFIRMED })
    now += 120_000
    expect(topics.quota().topics).to.deep.equal(['a'])
    now += 1
    expect(topics.quota().topics).to.deep.equal([])
  })
})
