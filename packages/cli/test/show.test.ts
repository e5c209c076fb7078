import { expect } from 'chai'
import { linesOf, timeText } from '../src/show.ts'

const KEY = { id: 'a', scopes: ['read', 'write'], expires_at: null, created_at: new Date('2030-01-31T12:00:00Z') }
const LONGER = { ...KEY, id: 'long id', expires_at: new Date('2030-01-31T13:30:00Z') }
const FOR_PEOPLE = { json: false, now: new Date('2030-01-31T12:05:10Z') }

describe('linesOf', () => {
  it('linesOf aligns the facts of one thing one below the other, and shows times with their ages', () => {
    expect(linesOf(KEY, FOR_PEOPLE)).to.deep.equal([
      'id          a',
      'scopes      read,write',
      'expires_at  -',
      'created_at  2030-01-31T12:00:00.000Z (5m 10s ago)',
    ])
  })

  it('linesOf makes a table of a list, and nothing of an empty one', () => {
    expect(linesOf([KEY, LONGER], FOR_PEOPLE)).to.deep.equal([
      'id       scopes      expires_at                            created_at',
      'a        read,write  -                                     2030-01-31T12:00:00.000Z (5m 10s ago)',
      'long id  read,write  2030-01-31T13:30:00.000Z (in 1h 24m)  2030-01-31T12:00:00.000Z (5m 10s ago)',
    ])
    expect(linesOf([], FOR_PEOPLE)).to.deep.equal([])
    expect(linesOf([], { ...FOR_PEOPLE, none: 'No keys.' })).to.deep.equal(['No keys.'])
    expect(linesOf([], { json: true, none: 'No keys.' })).to.deep.equal([])
  })

  it('linesOf shows a time without a date as text', () => {
    // As pg reads infinity.
    const endless = { at: Number.POSITIVE_INFINITY, before: Number.NEGATIVE_INFINITY }
    expect(linesOf(endless, { json: true })).to.deep.equal(['{"at":"Infinity","before":"-Infinity"}'])
    expect(timeText(endless.at as unknown as Date)).to.equal('Infinity')
    expect(linesOf({ at: new Date(Number.NaN) }, FOR_PEOPLE)[0]).to.match(/^at {2}Invalid Date/)
  })

  it('linesOf aligns wide characters, and writes those that a terminal obeys as escapes', () => {
    const wide = { reference: '支付\u001b[31m\u202e', lines: 'a\nb' }
    expect(linesOf([wide, { reference: 'ab', lines: '' }], FOR_PEOPLE)).to.deep.equal([
      'reference             lines',
      '支付\\u001b[31m\\u202e  a\\u000ab',
      'ab',
    ])
  })

  it('linesOf makes one JSON object a line, which shows a terminal no control character', () => {
    const json = '{"id":"a","scopes":["read","write"],"expires_at":null,"created_at":"2030-01-31T12:00:00.000Z"}'
    expect(linesOf(KEY, { json: true })).to.deep.equal([json])
    expect(linesOf([KEY, KEY], { json: true })).to.deep.equal([json, json])
    expect(linesOf([], { json: true })).to.deep.equal([])
    const hostile = { reference: '\u001b]0;x\u0007 \u009b31m \u2028' }
    const [line = ''] = linesOf(hostile, { json: true })
    expect(line).to.match(/^[\x20-\x7e]+$/)
    expect(JSON.parse(line)).to.deep.equal(hostile)
  })
})
