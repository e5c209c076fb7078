import { defined } from '@cashflow/async'
import { nullLogger } from '@cashflow/testing'
import { expect } from 'chai'
import { createSuspects } from '../src/suspects.ts'
import { message } from './rig.ts'

describe('suspects', () => {
  type Guilt = 'none' | 'suspected' | 'cost a channel alone'
  const GUILTS: readonly Guilt[] = ['none', 'suspected', 'cost a channel alone']

  function suspecting(guilts: readonly Guilt[]) {
    const suspects = createSuspects(nullLogger)
    const messages = guilts.map((_, index) => message({ messageId: `${index}`, key: 'abc'.charAt(index % 3) }))
    for (const [index, one] of messages.entries()) {
      if (guilts[index] === 'suspected') suspects.blame([one], { alone: false, reason: '406' })
      if (guilts[index] === 'cost a channel alone') suspects.blame([one], { alone: true, reason: '406' })
    }
    return { suspects, messages }
  }

  it('sends suspects once each, and in the order of their keys, in every combination with other messages', () => {
    for (let combination = 0; combination < GUILTS.length ** 6; combination++) {
      const guilts = Array.from({ length: 6 }, (_, at) =>
        defined(GUILTS[Math.floor(combination / 3 ** at) % 3], 'guilt'),
      )
      const { suspects, messages } = suspecting(guilts)
      const order = suspects.order(messages)
      for (const key of [0, 1, 2])
        expect(
          order.filter((index) => index % 3 === key),
          `${guilts}`,
        ).to.deep.equal([key, key + 3])
    }
  })

  it('sends suspects after other messages, the last one first, and after them the messages that closed a channel alone', () => {
    const { suspects, messages } = suspecting([
      'cost a channel alone',
      'suspected',
      'suspected',
      'none',
      'none',
      'none',
    ])
    expect(suspects.order(messages)).to.deep.equal([2, 5, 1, 4, 0, 3])
    const others = [message(), message()]
    expect(suspects.order([...messages.slice(0, 3), ...others])).to.deep.equal([3, 4, 2, 1, 0])
  })

  it('makes suspects culprits only after a neighbour was confirmed, until no suspect is left', () => {
    const suspects = createSuspects(nullLogger)
    const [bad, good, late] = [message(), message(), message()]
    suspects.blame([bad, good], { alone: false, reason: '406' })
    expect(suspects.blame([bad], { alone: true, reason: '406' })).to.equal(false)
    suspects.clear(good, { confirmed: false })
    expect(suspects.blame([bad], { alone: true, reason: '406' }), 'a refusal is no confirm').to.equal(false)
    suspects.clear(late, { confirmed: true })
    expect(suspects.mustBeAlone(late)).to.equal(false)
    expect(suspects.blame([bad], { alone: true, reason: '406' })).to.equal(true)
    expect(suspects.size).to.equal(0)
    suspects.blame([late], { alone: false, reason: '406' })
    expect(suspects.blame([late], { alone: true, reason: '406' })).to.equal(false)
  })

  it('makes culprits of at most 100 suspects before another neighbour has to be confirmed', () => {
    const suspects = createSuspects(nullLogger)
    const all = Array.from({ length: 150 }, () => message())
    suspects.blame(all, { alone: false, reason: '406' })
    suspects.clear(message(), { confirmed: true })
    const culprits = all.filter((one) => suspects.blame([one], { alone: true, reason: '406' }))
    expect(culprits).to.have.length(100)
    expect(suspects.mustBeAlone(message())).to.equal(true)
    suspects.clear(message(), { confirmed: true })
    expect(suspects.blame(all.slice(149), { alone: true, reason: '406' })).to.equal(true)
  })

  it('forgets suspects a minute after the last loss, as another relay may have published them', () => {
    let now = 0
    const suspects = createSuspects(nullLogger, () => now)
    suspects.blame([message()], { alone: false, reason: '406' })
    now = 60_000
    suspects.order([])
    expect(suspects.size).to.equal(1)
    now += 1
    suspects.order([])
    expect(suspects.size).to.equal(0)
  })

  it('remembers suspects up to a maximum number', () => {
    const suspects = createSuspects(nullLogger)
    for (let round = 0; round < 30; round++)
      suspects.blame(
        Array.from({ length: 2_000 }, () => message()),
        { alone: false, reason: '406' },
      )
    expect(suspects.size).to.equal(16_384)
  })
})
