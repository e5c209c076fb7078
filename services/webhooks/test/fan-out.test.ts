import { defined } from '@cashflow/async'
import { deleteEndpoint, updateEndpoint } from '@cashflow/db'
import { DEFAULT_MERCHANT_ID, eventId } from '@cashflow/domain'
import { eventually, openClient, query } from '@cashflow/testing'
import { expect } from 'chai'
import { type Receiver, startReceiver } from './receiver.ts'
import { created, type Rig, startRig, succeeded } from './rig.ts'
import { claimAndDie, expectNoneLeftBehind } from './time.ts'

const INSERT = `insert into payment_events (payment_id, merchant_id, sequence, type, actor, created_at)
  values ($1, $2, $3, 'payment.failed', 'api', now())`

describe('fan-out of webhooks', () => {
  let rig: Rig
  let receiver: Receiver

  beforeEach(async () => {
    rig = await startRig()
    receiver = await startReceiver()
  })

  afterEach(async () => {
    await expectNoneLeftBehind(rig.database.url)
    await rig.stop()
    await receiver.stop()
  })

  // Promise 118
  it('webhooks: an endpoint gets an event whose transaction began before it was created and committed after', async () => {
    const before = await rig.pay()
    const session = await openClient(rig.database.url)
    await session.query('begin')
    await session.query(INSERT, [before, DEFAULT_MERCHANT_ID, 2])
    await rig.endpoint(receiver.url)
    const after = await rig.pay()
    await rig.start()
    await eventually(async () =>
      expect((await rig.db.selectFrom('webhook_cursors').selectAll().execute()).length).to.equal(1),
    )
    await session.query('commit')
    await session.end()
    rig.wake()
    await eventually(() => expect(receiver.ids()).to.have.members([eventId(before, 2), created(after)]))
    await rig.delivered()
  })

  // Promises 119, 122
  it('webhooks: events of a payment are sent in their order, also when the feed has them in another one', async () => {
    await rig.endpoint(receiver.url)
    const payment = await rig.pay()
    const [late, early] = [await openClient(rig.database.url), await openClient(rig.database.url)]
    // It has its xid before the transaction that it then waits for.
    await late.query('begin; select pg_current_xact_id()')
    await early.query(INSERT, [payment, DEFAULT_MERCHANT_ID, 2])
    await late.query(INSERT, [payment, DEFAULT_MERCHANT_ID, 3])
    await late.query('commit')
    await Promise.all([late.end(), early.end()])
    const feed = await rig.db.selectFrom('payment_events').select('sequence').orderBy('xid').orderBy('id').execute()
    expect(feed.map(({ sequence }) => sequence)).to.deep.equal([1, 3, 2])
    await rig.start()
    await rig.delivered()
    await eventually(() =>
      expect(receiver.ids()).to.deep.equal([1, 2, 3].map((sequence) => eventId(payment, sequence))),
    )
  })

  // Promise 127
  it('webhooks: 16 endpoints of a merchant get the events of their types, and those of another merchant get none', async () => {
    const merchantId = await rig.merchant()
    const other = await startReceiver()
    await rig.endpoint(other.url, { merchantId })
    for (let count = 0; count < 16; count++)
      await rig.endpoint(`${receiver.url}/${count}`, { types: count % 2 === 0 ? null : ['payment.succeeded'] })
    await rig.start()
    const payment = await rig.pay()
    await rig.settle(payment)
    rig.wake()
    await eventually(() => expect(receiver.received).to.have.lengthOf(24))
    await rig.delivered()
    expect(receiver.ids().filter((id) => id === created(payment))).to.have.lengthOf(8)
    expect(receiver.ids().filter((id) => id === succeeded(payment))).to.have.lengthOf(16)
    expect(other.ids()).to.deep.equal([])
    await other.stop()
  })

  it('webhooks: two processes deliver events of one merchant, and never more at a time than the window', async () => {
    receiver.answerWith((received, res) => {
      setTimeout(() => {
        received.status = 204
        res.writeHead(204).end()
      }, 15)
      return undefined
    })
    const attempts = [0, 0]
    await rig.endpoint(receiver.url, { ordering: 'none' })
    for (const place of attempts.keys())
      await rig.start({
        windowMax: 4,
        attemptsMax: 16,
        onAttempt: () => {
          attempts[place] = (attempts[place] ?? 0) + 1
        },
      })
    const payments: string[] = []
    for (let count = 0; count < 120; count++) {
      payments.push(await rig.pay())
      rig.wake()
    }
    await eventually(() => expect(receiver.ids()).to.have.members(payments.map(created)))
    await rig.delivered()
    expect(receiver.openMax()).to.be.within(2, 4)
    // The process that fills the window may keep it full. An event that finds all idle is taken by the first process.
    await eventually(async () => {
      payments.push(await rig.pay())
      rig.wake()
      await eventually(() => expect(receiver.ids()).to.have.members(payments.map(created)))
      expect(Math.min(...attempts)).to.be.above(0)
    })
    await rig.delivered()
    expect(receiver.openMax()).to.be.at.most(4)
  })

  it('webhooks: what a killed process had claimed leaves the rest of the window to the others', async () => {
    const { id } = await rig.endpoint(receiver.url, { ordering: 'none' })
    const distributor = await rig.start({ attemptsMax: 0 })
    for (let count = 0; count < 20; count++) await rig.pay()
    rig.wake()
    await eventually(async () => expect(await rig.deliveries()).to.have.lengthOf(20))
    await distributor.stop()
    await rig.db.updateTable('webhook_queues').set({ is_failing: false }).execute()
    expect(await claimAndDie(rig.db, { deliveriesMax: 8 })).to.have.lengthOf(2)
    await query(
      rig.database.url,
      `update webhook_deliveries set due_at = due_at - interval '5 seconds' where claim_token is not null;
      update webhook_queues set due_at = now() where endpoint_id = '${id}'`,
    )
    receiver.answerWith(() => undefined)
    await rig.start({ windowMax: 8, attemptsMax: 64, deadlineMs: 8_000 })
    await eventually(() => expect(receiver.openMax()).to.equal(6))
    receiver.answerWith(() => 204)
  })

  // Promise 123
  it('webhooks: an endpoint that has never succeeded, or fails, has one attempt at a time', async () => {
    receiver.answerWith(() => 500)
    await rig.endpoint(receiver.url, { ordering: 'none' })
    for (let count = 0; count < 12; count++) await rig.pay()
    await rig.start()
    await rig.start()
    await eventually(() => expect(receiver.received).to.have.lengthOf(12))
    expect(receiver.openMax()).to.equal(1)
  })

  // Promise 123
  it('webhooks: failing endpoints have at most a quarter of the sockets of a process', async () => {
    receiver.answerWith(() => undefined)
    for (let count = 0; count < 10; count++) await rig.endpoint(receiver.url)
    const merchantId = await rig.merchant()
    const other = await startReceiver()
    await rig.endpoint(other.url, { merchantId })
    await rig.pay(merchantId)
    const first = await rig.start({ attemptsMax: 16, deadlineMs: 2_000 })
    await eventually(() => expect(other.received).to.have.lengthOf(1))
    await rig.pay()
    rig.wake()
    await eventually(() => expect(receiver.openMax()).to.equal(4))
    const payment = await rig.pay(merchantId)
    rig.wake()
    await eventually(() => expect(other.ids()).to.include(created(payment)))
    expect(first.inFlight).to.be.at.most(5)
    expect(receiver.openMax()).to.equal(4)
    await other.stop()
  })

  it('webhooks: events that wait for an earlier one go on when their endpoint does not order them any more', async () => {
    receiver.answerWith(({ data }) => (data.sequence === 1 ? 500 : 204))
    const { id } = await rig.endpoint(receiver.url)
    await rig.start()
    const payment = await rig.pay()
    await rig.settle(payment)
    rig.wake()
    await eventually(async () => expect((await rig.deliveries())[1]).to.include({ status: 'waiting' }))
    await updateEndpoint(rig.db, { merchantId: DEFAULT_MERCHANT_ID, id, ordering: 'none' })
    await eventually(() => expect(receiver.ids()).to.include(succeeded(payment)))
    await eventually(async () => expect((await rig.deliveries())[1]).to.include({ status: 'succeeded' }))
  })

  it('webhooks: nothing is sent to an endpoint that was deleted while an attempt ran', async () => {
    const held: (() => void)[] = []
    receiver.answerWith((_, res) => {
      held.push(() => res.writeHead(500).end())
      return undefined
    })
    const { id } = await rig.endpoint(receiver.url)
    const process = await rig.start()
    await rig.pay()
    await eventually(() => expect(held).to.have.lengthOf(1))
    expect(await deleteEndpoint(rig.db, { merchantId: DEFAULT_MERCHANT_ID, id })).to.equal(true)
    defined(held[0], 'answer')()
    await eventually(() => expect(process.inFlight).to.equal(0))
    await rig.pay()
    await rig.db
      .updateTable('webhook_deliveries')
      .set({ due_at: new Date(0) })
      .execute()
    await rig.db
      .updateTable('webhook_queues')
      .set({ due_at: new Date(0) })
      .execute()
    rig.wake()
    await process.stop()
    expect(receiver.received).to.have.lengthOf(1)
  })
})
