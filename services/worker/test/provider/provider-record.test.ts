import { expect } from 'chai'
import type { ProviderAnswer } from '../../src/provider/provider.ts'
import { createProviderRecord, type Finding } from '../../src/provider/provider-record.ts'

const APPROVED: ProviderAnswer = { outcome: 'approved' }
const PENDING: ProviderAnswer = { outcome: 'pending' }
const UNKNOWN: ProviderAnswer = { outcome: 'unknown', reason: 'HTTP 503' }
const REFUSED: ProviderAnswer = { outcome: 'refused', reason: 'HTTP 400' }
const REJECTED: ProviderAnswer = { outcome: 'rejected', reason: 'HTTP 401' }

describe('provider record', () => {
  let now: number
  let record: ReturnType<typeof createProviderRecord>
  beforeEach(() => {
    now = 1_000_000
    record = createProviderRecord(3, () => now)
  })
  const noteAll = (...notes: [ProviderAnswer, string][]): Finding[] =>
    notes.map(([answer, id]) => record.note(answer, id))

  it('suspects the settings after three different payments were refused without an answer between them', () => {
    expect(noteAll([REFUSED, 'a'], [REFUSED, 'a'], [REFUSED, 'b'], [UNKNOWN, 'c'], [REFUSED, 'd'])).to.deep.equal([
      'inconclusive',
      'inconclusive',
      'inconclusive',
      'inconclusive',
      'refusing',
    ])
  })

  for (const answer of [APPROVED, PENDING, { outcome: 'declined', failureCode: 'no' }] as const) {
    it(`counts from 0 after an answer that is ${answer.outcome}`, () => {
      const between = [[answer, 'x']] as [ProviderAnswer, string][]
      noteAll([REFUSED, 'a'], [REFUSED, 'b'], [UNKNOWN, 'c'], [UNKNOWN, 'd'], ...between)
      expect(noteAll([REFUSED, 'c'], [REFUSED, 'a'], [UNKNOWN, 'e'], [UNKNOWN, 'e'])).to.deep.equal(
        Array.from({ length: 4 }, () => 'inconclusive'),
      )
    })
  }

  it('counts a refusal neither as an attempt without an answer nor as an answer', () => {
    expect(noteAll([UNKNOWN, 'a'], [REFUSED, 'b'], [UNKNOWN, 'c'], [REFUSED, 'b'], [UNKNOWN, 'd']).at(-1)).to.equal(
      'silent',
    )
  })

  it('suspects the settings after the first rejected request', () => {
    expect(record.note(REJECTED, 'a')).to.equal('refusing')
  })

  // Promise 39
  it('reports for 30 s that another payment was answered, and never counts the payment itself', () => {
    expect(record.othersAnswered('bad')).to.equal(false)
    record.note(APPROVED, 'good')
    now += 10_000
    record.note(PENDING, 'bad')
    now += 19_999
    expect(record.othersAnswered('bad')).to.equal(true)
    now += 1
    expect(record.othersAnswered('bad')).to.equal(false)
    expect(record.othersAnswered('other')).to.equal(true)
  })

  it('keeps the order of the payments that were refused since the last answer', () => {
    noteAll([REFUSED, 'a'], [REFUSED, 'b'], [REFUSED, 'a'])
    const [a, b, c] = ['a', 'b', 'c'].map(record.lastRefusal) as [number, number, number]
    expect([c < b, b < a]).to.deep.equal([true, true])
    record.note(APPROVED, 'x')
    expect(['a', 'b', 'c'].map(record.lastRefusal)).to.deep.equal([0, 0, 0])
  })
})
