import { randomUUID } from 'node:crypto'
import { OPERATOR } from '@cashflow/testing'
import { expect } from 'chai'
import { eventHash } from '../../src/events/hash.ts'
import { createTestStore, type TestStore } from '../test-store.ts'
import { verifiedPayments } from './verified.ts'

const OTHER_MERCHANT = '00000000-0000-7000-8000-000000000002'
const PAST = '2020-01-01T00:00:00.000Z'

describe('verify of a row and an event that differ', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore(2)
  })
  after(() => store.drop())

  const { change, verified, settled } = verifiedPayments(() => store)

  const rowOf = (id: string) =>
    store.db.selectFrom('payments').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  const eventOf = (id: string, sequence: number) =>
    store.db
      .selectFrom('payment_events')
      .selectAll()
      .where('payment_id', '=', id)
      .where('sequence', '=', sequence)
      .executeTakeFirstOrThrow()
  const findingsOf = async (paymentId: string) =>
    (await verified({ paymentId })).findings.map(({ what, expected, found }) => [what, expected, found])
  const changeData = (id: string, sequence: number, data: object) =>
    change(
      'update payment_events set data = data || $3::jsonb where payment_id = $1 and sequence = $2',
      id,
      sequence,
      JSON.stringify(data),
    )

  // Promise 106
  for (const [what, sequence, column, value, found = value] of [
    ['amount', 1, 'data', '{"amount": "1.00"}', '1.00'],
    ['currency', 1, 'data', '{"currency": "ETB"}', 'ETB'],
    ['reference', 1, 'data', '{"reference": "another"}', 'another'],
    ['failure_code', 2, 'data', '{"failure_code": "fraud"}', 'fraud'],
    ['merchant', 1, 'merchant_id', OTHER_MERCHANT],
    ['created_at', 1, 'created_at', PAST],
    ['settled_at', 2, 'created_at', PAST],
    ['status', 2, 'type', 'payment.succeeded', 'SUCCESS'],
  ] as const)
    it(`verify expects the row's ${what} of event ${sequence} if that event was changed`, async () => {
      const id = await settled('declined')
      const row = await rowOf(id)
      const was: Record<string, string> = {
        ...{ amount: '100.50', currency: row.currency, reference: row.reference, merchant: row.merchant_id },
        ...{ failure_code: 'card_declined', status: 'FAILED' },
        ...{ created_at: row.created_at.toISOString(), settled_at: String(row.settled_at?.toISOString()) },
      }
      if (column === 'data') await changeData(id, sequence, JSON.parse(value))
      else
        await change(
          `update payment_events set ${column} = $1 where payment_id = $2 and sequence = $3`,
          value,
          id,
          sequence,
        )
      const findings = await findingsOf(id)
      expect(findings.map(([name]) => name)).to.deep.equal([
        `${what} of event ${sequence}`,
        `hash of event ${sequence}`,
      ])
      expect(findings[0]).to.deep.equal([`${what} of event ${sequence}`, was[what], found])
    })

  it("verify expects the event's value if the row was changed", async () => {
    const id = await settled('declined')
    await change(`update payments set currency = 'ETB', failure_code = 'fraud' where id = $1`, id)
    expect(await findingsOf(id)).to.deep.equal([
      ['currency', 'USD', 'ETB'],
      ['failure_code', 'card_declined', 'fraud'],
    ])
  })

  it('verify expects neither value if the row and its event were changed to different ones', async () => {
    const id = await settled()
    await changeData(id, 1, { amount: '1.00' })
    await change('update payments set amount_minor = 200 where id = $1', id)
    expect((await findingsOf(id))[0]).to.deep.equal([
      'amount of row and event 1',
      'the same',
      '2.00 in the row, 1.00 in the history',
    ])
  })

  it('verify expects neither value if an event was changed together with its hash', async () => {
    const id = await settled()
    await changeData(id, 1, { currency: 'ETB' })
    const { merchant_id: merchantId, request_id: requestId, created_at: createdAt, ...event } = await eventOf(id, 1)
    const data = event.data as Record<string, unknown>
    const hash = eventHash(undefined, { ...event, paymentId: id, merchantId, requestId, createdAt, data })
    await change('update payment_events set hash = $1 where payment_id = $2 and sequence = 1', hash, id)
    const findings = await findingsOf(id)
    expect(findings.map(([what]) => what)).to.deep.equal(['currency of row and event 1', 'hash of event 2'])
    expect(findings[0]).to.include('USD in the row, ETB in the history')
  })

  it("verify expects the row's value if an event was changed and its hash removed", async () => {
    const id = await settled()
    await changeData(id, 1, { currency: 'ETB' })
    await change('update payment_events set hash = null where payment_id = $1 and sequence = 1', id)
    expect((await findingsOf(id))[0]).to.deep.equal(['currency of event 1', 'USD', 'ETB'])
  })

  it('verify expects neither value if no event has a hash', async () => {
    const id = await settled()
    await change('update payment_events set hash = null where payment_id = $1', id)
    await change(`update payments set last_hash = null, currency = 'ETB' where id = $1`, id)
    expect((await findingsOf(id)).map(([what]) => what)).to.deep.equal(['currency of row and event 1'])
  })

  it('verify expects neither status if the event of the end was deleted, and PENDING if there was none', async () => {
    const id = await settled()
    await change('delete from payment_events where payment_id = $1 and sequence = 2', id)
    expect((await findingsOf(id))[0]).to.deep.equal([
      'status of row and events',
      'the same',
      'SUCCESS in the row, PENDING in the history',
    ])
    const { id: pending } = await store.insert()
    await change(`update payments set status = 'SUCCESS', settled_at = now() where id = $1`, pending)
    expect((await findingsOf(pending))[0]).to.deep.equal(['status', 'PENDING', 'SUCCESS'])
  })

  it("verify expects the row's status if the end got a type that ends nothing", async () => {
    const id = await settled()
    await change(`update payment_events set type = 'payment.refunded' where payment_id = $1 and sequence = 2`, id)
    expect(await findingsOf(id)).to.deep.include(['status of event 2', 'SUCCESS', null])
  })

  it('verify expects the reference that a later event has replaced, if the event before was changed', async () => {
    const { id, reference } = await store.insert()
    await change('update payments set reference = $1 where id = $2', `${reference}#2`, id)
    await change(
      `insert into payment_events (payment_id, merchant_id, sequence, type, data, actor)
        select id, merchant_id, 3, 'payment.reference_changed', $2, 'migrate' from payments where id = $1`,
      id,
      JSON.stringify({ reference: `${reference}#2`, reference_before: reference, duplicate_of: randomUUID() }),
    )
    await verified({ sealsAs: OPERATOR })
    await changeData(id, 1, { reference: 'another' })
    expect(await findingsOf(id)).to.deep.include(['reference of event 1', reference, 'another'])
  })
})
