import { expect } from 'chai'
import { unreadableLetter } from '../src/dead-letters.ts'

function letterOf(given: Buffer | string, messageId?: string, bytes?: number) {
  const body = Buffer.from(given as string)
  return unreadableLetter({ body, bytes: bytes ?? body.length, messageId, topic: 'payments' })
}

describe('dead letter of an unreadable delivery', () => {
  it('holds a text body as text', () => {
    expect(letterOf('no payment, größer', 'm-1')).to.deep.include({
      topic: 'payments',
      source: 'queue',
      payload: { body: 'no payment, größer', encoding: 'utf8', bytes: 20 },
    })
  })

  for (const [what, body] of [
    ['no UTF-8', Buffer.from([0xff, 0xfe, 0x01])],
    ['a NUL, which PostgreSQL refuses', Buffer.from('a\u0000b')],
    ['half a character', Buffer.from('ö').subarray(0, 1)],
  ] as const) {
    it(`holds a body in base64 when it is ${what}`, () => {
      expect(letterOf(body).payload).to.deep.equal({
        body: body.toString('base64'),
        encoding: 'base64',
        bytes: body.length,
      })
    })
  }

  it('holds the beginning of a large body, and leaves out a character that is cut in two', () => {
    const { payload } = letterOf(`x${'ö'.repeat(10_000)}`)
    expect(payload).to.deep.equal({ body: `x${'ö'.repeat(8_191)}`, encoding: 'utf8', bytes: 20_001 })
  })

  it('gives a dead letter the same key for the same message, and another key for each other message', () => {
    expect(letterOf('a', 'm-1').key).to.match(/^m-1 [0-9a-f]{16}$/)
    expect(letterOf('a', 'm-1').key).to.equal(letterOf('a', 'm-1').key)
    expect(letterOf('a', 'm-1').key).to.not.equal(letterOf('a', 'm-2').key)
    expect(letterOf('a', 'm-1').key).to.not.equal(letterOf('b', 'm-1').key)
  })

  it('gives a dead letter the same key for the same body if the message has no id', () => {
    expect(letterOf('a').key).to.match(/^[0-9a-f]{64}$/)
    expect(letterOf('a').key).to.equal(letterOf('a').key)
    expect(letterOf('a').key).to.not.equal(letterOf('b').key)
    expect(letterOf('a', '\u0000').key).to.equal(letterOf('a').key)
    expect(letterOf('a', '').key).to.equal(letterOf('a').key)
  })

  it('gives dead letters of two bodies with the same kept beginning different keys, and holds their sizes', () => {
    const [whole, cut, larger] = [
      letterOf('a'),
      letterOf('a', undefined, 100_000_000),
      letterOf('a', undefined, 100_000_001),
    ]
    expect(new Set([whole.key, cut.key, larger.key]).size).to.equal(3)
    expect(cut.payload).to.deep.equal({ body: 'a', encoding: 'utf8', bytes: 100_000_000 })
  })

  it('keeps the id of the message if it is a UUID', () => {
    const id = '0197f3c0-0000-7000-8000-0123456789ab'
    expect(letterOf('a', id)).to.include({ messageId: id })
  })
})
