import { expect } from 'chai'
import { linesOf } from '../src/show.ts'

const KEY = { id: 'a', scopes: ['read', 'write'], expires_at: null, created_at: new Date('2030-01-31T12:00:00Z') }
const LONGER = { ...KEY, id: 'long id', expires_at: new Date(0) }

describe('linesOf', () => {
  it('linesOf aligns the facts of one thing one below the other', () => {
    expect(linesOf(KEY, { json: false })).to.deep.equal([
      'id          a',
      'scopes      read,write',
      'expires_at  -',
      'created_at  2030-01-31T12:00:00.000Z',
    ])
  })

  it('linesOf makes a table of a list, and nothing of an empty one', () => {
    expect(linesOf([KEY, LONGER], { json: false })).to.deep.equal([
      'id       scopes      expires_at                created_at',
      'a        read,write  -                         2030-01-31T12:00:00.000Z',
      'long id  read,write  1970-01-01T00:00:00.000Z  2030-01-31T12:00:00.000Z',
    ])
    expect(linesOf([], { json: false })).to.deep.equal([])
  })

  it('linesOf makes one JSON object a line', () => {
    const json = '{"id":"a","scopes":["read","write"],"expires_at":null,"created_at":"2030-01-31T12:00:00.000Z"}'
    expect(linesOf(KEY, { json: true })).to.deep.equal([json])
    expect(linesOf([KEY, KEY], { json: true })).to.deep.equal([json, json])
    expect(linesOf([], { json: true })).to.deep.equal([])
  })
})
