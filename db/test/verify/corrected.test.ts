import { expect } from 'chai'
import { createTestStore, type TestStore } from '../test-store.ts'
import { eachOf, verifiedPayments } from './verified.ts'

describe('verify after a correction by hand', () => {
  let store: TestStore
  beforeEach(async () => {
    store = await createTestStore(2)
  })
  afterEach(() => store.drop())

  const { change, verified, settled, heads, forceDelete } = verifiedPayments(() => store)

  it('verify finds nothing, also --against an export, once a row and an event are as they were', async () => {
    const [row, event] = [await settled(), await settled()]
    const exported = await heads()
    const setRow = (amount: number) => change('update payments set amount_minor = $1 where id = $2', amount, row)
    const setEvent = (amount: string) =>
      change(
        `update payment_events set data = data || jsonb_build_object('amount', $1::text) where payment_id = $2 and sequence = 1`,
        amount,
        event,
      )
    await setRow(100)
    await setEvent('1.00')
    expect((await verified({ against: eachOf(exported) })).counts.findings).to.be.above(2)
    await setRow(10_050)
    await setEvent('100.50')
    expect((await verified({ against: eachOf(exported), isSealed: true })).findings).to.deep.equal([])
  })

  it('verify finds nothing, also --against an export, once the rows of a backup are copied', async () => {
    const id = await settled()
    const exported = await heads()
    await change(`create table kept_payments as select * from payments where id = '${id}'`)
    await change(`create table kept_events as select * from payment_events where payment_id = '${id}'`)
    await forceDelete(id)
    expect((await verified({ against: eachOf(exported) })).what).to.deep.equal(['payment'])
    await change(`update kept_events set xid = '0'`)
    await change('insert into payments select * from kept_payments')
    await change('insert into payment_events overriding system value select * from kept_events')
    expect((await verified({ against: eachOf(exported), isSealed: true })).findings).to.deep.equal([])
  })

  it('verify --against an export from before finds the history of a payment that was stored again', async () => {
    const id = await settled()
    const exported = await heads()
    await change('create table kept as select * from payments')
    await forceDelete(id)
    await change(
      `insert into payments (id, merchant_id, reference, amount_minor, currency, status, attempts, redrive_at)
        select id, merchant_id, reference, amount_minor, currency, 'PENDING', 1, now() from kept`,
    )
    await change(
      `insert into payment_events (payment_id, merchant_id, sequence, type, data, actor, created_at)
        select p.id, p.merchant_id, 1, 'payment.created', jsonb_build_object('reference', p.reference, 'amount', '100.50', 'currency', p.currency),
          'operator', p.created_at from payments p`,
    )
    expect((await verified()).findings).to.deep.equal([])
    expect((await verified({ against: eachOf(exported) })).what).to.deep.equal(['history up to event 2, as exported'])
  })
})
