import { createHash } from 'node:crypto'
import { defined } from '@cashflow/async'
import { expect } from 'chai'
import { sql } from 'kysely'
import { eventHash, type HashedEvent } from '../../src/events/hash.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

const EVENT: HashedEvent = {
  paymentId: '01a200fd-5a8f-7198-a175-98e19c418246',
  merchantId: '00000000-0000-7000-8000-000000000001',
  sequence: 1,
  type: 'payment.created',
  data: { reference: 'REF-1', amount: '100.50', currency: 'USD' },
  actor: 'api',
  requestId: 'r-1',
  createdAt: new Date('2026-11-30T12:00:00.001Z'),
}
const sha256 = (...parts: (string | Buffer)[]) =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest()
const factsWith = (data: string, requestId = '"r-1"') =>
  `["${EVENT.paymentId}","${EVENT.merchantId}",1,"payment.created",${data},"api",${requestId},"2026-11-30T12:00:00.001Z"]`

describe('eventHash', () => {
  it('eventHash is SHA-256 over the hash before and the canonical JSON of the facts', () => {
    const facts = factsWith('{"amount":"100.50","currency":"USD","reference":"REF-1"}')
    expect(eventHash(undefined, EVENT)).to.deep.equal(sha256(facts))
    const before = sha256('the event before')
    expect(eventHash(before, EVENT)).to.deep.equal(sha256(before, facts))
  })

  // RFC 8785, section 3.2.3: the order of the UTF-16 code units, in which U+1F600 comes before U+FB33.
  it('eventHash sorts members by the code units of their names, also names that are integers, at any depth', () => {
    const data = { '\ufb33': 1, '\u{1f600}': 2, '\u20ac': 3, 9: 4, 10: 5, '\r': 6, b: { z: 7, 2: [{ y: 8, 10: 9 }] } }
    const sorted = '{"\\r":6,"10":5,"9":4,"b":{"2":[{"10":9,"y":8}],"z":7},"\u20ac":3,"\u{1f600}":2,"\ufb33":1}'
    expect(eventHash(undefined, { ...EVENT, data })).to.deep.equal(sha256(factsWith(sorted)))
  })

  it('eventHash writes numbers and strings as ECMAScript does, and leaves undefined members out', () => {
    const data = { a: [1e21, 0.1, -0, 1.5e-7], b: '\u0007"\\/\u2028€', c: undefined, d: [true, null] }
    const written = '{"a":[1e+21,0.1,0,1.5e-7],"b":"\\u0007\\"\\\\/\u2028€","d":[true,null]}'
    const event = { ...EVENT, data, requestId: undefined }
    expect(eventHash(undefined, event)).to.deep.equal(sha256(factsWith(written, 'null')))
    expect(eventHash(undefined, { ...event, requestId: null })).to.deep.equal(eventHash(undefined, event))
  })

  it('eventHash differs when any fact differs', () => {
    const changed: HashedEvent[] = [
      { ...EVENT, paymentId: EVENT.merchantId },
      { ...EVENT, merchantId: EVENT.paymentId },
      { ...EVENT, sequence: 2 },
      { ...EVENT, type: 'payment.failed' },
      { ...EVENT, data: { ...EVENT.data, amount: '100.51' } },
      { ...EVENT, actor: 'operator' },
      { ...EVENT, requestId: 'r-2' },
      { ...EVENT, createdAt: new Date('2026-11-30T12:00:00.002Z') },
    ]
    const hashes = [EVENT, ...changed].map((event) => eventHash(undefined, event).toString('hex'))
    expect(new Set(hashes)).to.have.property('size', hashes.length)
  })
})

describe('eventHash of stored events', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore(1)
  })
  after(() => store.drop())

  it('eventHash does not depend on the microseconds of a stored time', async () => {
    const { id, merchantId } = await store.insert()
    const { rows } = await sql<{ created_at: Date; milliseconds: string }>`
      insert into payment_events (payment_id, merchant_id, sequence, type, actor, created_at)
      select ${id}, ${merchantId}, n + 2, 'test', 'test',
        timestamptz '2026-11-30T12:00:00Z' + n * interval '1 millisecond' + (n * 37 % 1000) * interval '1 microsecond'
      from generate_series(0, 999) n
      returning created_at, to_char(created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as milliseconds`.execute(
      store.db,
    )
    expect(rows).to.have.length(1_000)
    const read = rows.map(({ created_at }) => created_at.toISOString())
    expect(read).to.deep.equal(rows.map((_, n) => new Date(Date.UTC(2026, 10, 30, 12) + n).toISOString()))
    expect(read).to.deep.equal(rows.map(({ milliseconds }) => milliseconds))
    const { created_at } = defined(rows[123], 'row')
    const createdAt = new Date('2026-11-30T12:00:00.123Z')
    expect(eventHash(undefined, { ...EVENT, createdAt: created_at })).to.deep.equal(
      eventHash(undefined, { ...EVENT, createdAt }),
    )
  })
})
