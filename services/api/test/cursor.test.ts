import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { type CursorScope, createCursors } from '../src/cursor.ts'

const SCOPE: CursorScope = {
  list: 'payments',
  merchantId: '019a0000-0000-7000-8000-000000000001',
  filters: { status: 'PENDING', currency: 'USD' },
}
const POSITION = ['2026-11-22T01:37:08.058123Z', '01a200e6-61da-7305-a53d-01a16fbc86b7']

describe('cursor', () => {
  const key = randomBytes(32)
  const cursors = createCursors(async () => key)
  const codeOf = (promise: Promise<unknown>) =>
    promise.then(
      () => 'opened',
      (error: { code: string }) => error.code,
    )

  // Promise 83
  it('cursor: opens in any process with the same secret, with the filters in any order', async () => {
    const cursor = await cursors.seal(SCOPE, POSITION)
    const other = createCursors(async () => Buffer.from(key))
    const filters = { currency: 'USD', status: 'PENDING' }
    expect(await other.open({ ...SCOPE, filters }, cursor)).to.deep.equal(POSITION)
    expect(cursor).to.match(/^[\w-]{1,200}$/)
  })

  // Promise 83
  it('cursor: is refused for another list, merchant, secret or filter', async () => {
    const cursor = await cursors.seal(SCOPE, POSITION)
    const { merchantId, filters = {} } = SCOPE
    const others: CursorScope[] = [
      { ...SCOPE, list: 'events' },
      { ...SCOPE, merchantId: merchantId.replace(/1$/, '2') },
      { list: 'payments', merchantId },
      { ...SCOPE, filters: { status: 'PENDING' } },
      { ...SCOPE, filters: { ...filters, currency: 'ETB' } },
      { ...SCOPE, filters: { ...filters, reference: '' } },
    ]
    for (const other of others) expect(await codeOf(cursors.open(other, cursor))).to.equal('invalid-cursor')
    const foreign = createCursors(async () => randomBytes(32))
    expect(await codeOf(foreign.open(SCOPE, cursor))).to.equal('invalid-cursor')
  })

  // Promise 83
  it('cursor: is refused if any of its characters is changed, left out or added', async () => {
    const cursor = await cursors.seal(SCOPE, POSITION)
    expect(await codeOf(cursors.open(SCOPE, cursor))).to.equal('opened')
    const altered = [...cursor].flatMap((character, at) =>
      [character === 'A' ? 'B' : 'A', character === '-' ? '_' : '-', '', '+', '=', 'ä', `${character}A`].map(
        (given) => cursor.slice(0, at) + given + cursor.slice(at + 1),
      ),
    )
    const texts = [...altered, '', 'A', 'AQ', cursor + cursor, `${cursor}=`, ` ${cursor}`, 'null', '\0']
    for (const text of texts) expect(await codeOf(cursors.open(SCOPE, text)), text).to.equal('invalid-cursor')
  })

  it('cursor: reads the secret once, and again only after that failed', async () => {
    let reads = 0
    const failing = createCursors(async () => {
      reads += 1
      if (reads === 1) throw Object.assign(new Error('away'), { code: 'ECONNREFUSED' })
      return key
    })
    expect(await codeOf(failing.seal(SCOPE, POSITION))).to.equal('ECONNREFUSED')
    const [cursor] = await Promise.all([failing.seal(SCOPE, POSITION), failing.seal(SCOPE, POSITION)])
    expect(await failing.open(SCOPE, cursor)).to.deep.equal(POSITION)
    expect(reads).to.equal(2)
  })
})
