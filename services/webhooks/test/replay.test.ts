import { randomUUID } from 'node:crypto'
import { type ReplayStart, redeliver, startReplay, updateEndpoint } from '@cashflow/db'
import { pruneDeliveries } from '@cashflow/db/webhooks'
import { query } from '@cashflow/dev-stack'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { eventually, openClient } from '@cashflow/testing'
import { expect } from 'chai'
import { type Receiver, startReceiver } from './receiver.ts'
import { created, type Rig, startRig, succeeded } from './rig.ts'
import { expectNoneLeftBehind } from './time.ts'

const DAY_MS = 86_400_000
const START = { from: 'time', time: new Date(0) } as const

describe('replays of webhooks', () => {
  let rig: Rig
  let receiver: Receiver
  let endpointId: string

  beforeEach(async () => {
    rig = await startRig()
    receiver = await startReceiver()
    endpointId = (await rig.endpoint(receiver.url)).id
  })

  afterEach(async () => {
    await expectNoneLeftBehind(rig.database.url)
    await rig.stop()
    await receiver.stop()
  })

  async function replay(start: ReplayStart, types?: readonly string[]): Promise<void> {
    const id = randomUUID()
    const { outcome } = await startReplay(rig.db, { merchantId: DEFAULT_MERCHANT_ID, endpointId, id, start, types })
    expect(outcome).to.equal('started')
    rig.wake()
    await eventually(async () => {
      const row = await rig.db.selectFrom('webhook_replays').selectAll().where('id', '=', id).executeTakeFirst()
      expect(row?.finished_at).to.be.instanceOf(Date)
    })
    await rig.delivered()
  }
  const pay = async (count: number) => {
    const payments: string[] = []
    while (payments.length < count) payments.push(await rig.pay())
    return payments
  }
  const enable = (isEnabled: boolean) =>
    updateEndpoint(rig.db, { merchantId: DEFAULT_MERCHANT_ID, id: endpointId, isEnabled })

  it('webhooks: a replay sends all events of its types again under their ids, page by page', async () => {
    await rig.start()
    const payments = await pay(230)
    await rig.settle(payments[0] ?? '')
    rig.wake()
    await eventually(async () => expect(await rig.deliveries()).to.have.lengthOf(231))
    await rig.delivered()
    receiver.received.length = 0
    await replay(START, ['payment.created'])
    expect(new Set(receiver.ids())).to.deep.equal(new Set(payments.map(created)))
    expect(receiver.received).to.have.lengthOf(230)
    const [first] = await rig.deliveries()
    expect(first).to.include({ status: 'succeeded', is_replay: true, attempts: 0 })
  }).timeout(60_000)

  // Promise 118
  it('webhooks: a replay sends what has expired, in the order of its payment', async () => {
    await rig.start()
    const payment = await rig.pay()
    await rig.settle(payment)
    rig.wake()
    await eventually(async () => expect(await rig.deliveries()).to.have.lengthOf(2))
    await rig.delivered()
    await rig.db.updateTable('webhook_deliveries').set({ status: 'expired', attempts: 10 }).execute()
    receiver.received.length = 0
    await replay(START)
    expect(receiver.ids()).to.deep.equal([created(payment), succeeded(payment)])
    for (const delivery of await rig.deliveries()) expect(delivery).to.include({ status: 'succeeded', attempts: 0 })
  })

  it('webhooks: a delivery whose event was pruned expires, and says so', async () => {
    const process = await rig.start()
    const paymentId = await rig.pay()
    await rig.settle(paymentId)
    rig.wake()
    await eventually(async () => expect(await rig.deliveries()).to.have.lengthOf(2))
    await rig.delivered()
    await process.stop()
    await redeliver(rig.db, { merchantId: DEFAULT_MERCHANT_ID, paymentId, sequence: 1, endpointId })
    await query(
      rig.database.url,
      `insert into pruned_references (merchant_id, reference, idempotency_key, id, amount_minor, currency)
      select merchant_id, reference, idempotency_key, id, amount_minor, currency from payments`,
    )
    for (const table of ['payment_events', 'payments', 'webhook_payloads'])
      await query(rig.database.url, `delete from ${table}`)
    await rig.start()
    await rig.delivered()
    const [delivery] = await rig.deliveries()
    expect(delivery).to.include({ status: 'expired', last_error: 'not sent: the event was pruned' })
    expect(receiver.received).to.have.lengthOf(2)
  })

  it('webhooks: a replay of events that the feed has in another order than their payment finishes', async () => {
    const payment = await rig.pay()
    const late = await openClient(rig.database.url)
    await late.query('begin; select pg_current_xact_id()')
    const insert = (sequence: number) =>
      `insert into payment_events (payment_id, merchant_id, sequence, type, actor, created_at)
      values ('${payment}', '${DEFAULT_MERCHANT_ID}', ${sequence}, 'payment.failed', 'api', now())`
    await query(rig.database.url, insert(2))
    await late.query(insert(3))
    await late.query('commit')
    await late.end()
    await rig.start()
    await eventually(async () => expect(await rig.deliveries()).to.have.lengthOf(3))
    await rig.delivered()
    receiver.received.length = 0
    await replay(START)
    expect(receiver.received.map(({ data }) => data.sequence)).to.deep.equal([1, 2, 3])
  })

  it('webhooks: replayed events have at most half of the window, and new events come first', async () => {
    const held: (() => void)[] = []
    await rig.start({ windowMax: 4 })
    await pay(10)
    rig.wake()
    await eventually(async () => expect(await rig.deliveries()).to.have.lengthOf(10))
    await rig.delivered()
    receiver.answerWith((_, res) => {
      held.push(() => res.writeHead(204).end())
      return undefined
    })
    receiver.received.length = 0
    const done = replay(START)
    await eventually(() => expect(held).to.have.lengthOf(2))
    const [live] = await pay(1)
    rig.wake()
    await eventually(() => expect(receiver.ids()).to.include(created(live ?? '')))
    expect(held).to.have.lengthOf(3)
    receiver.answerWith(() => 204)
    for (const answer of held) answer()
    await done
    expect(receiver.received).to.have.lengthOf(11)
  })

  // Promise 125
  it('webhooks: an enabled endpoint gets what it missed by a replay, and a second one finds nothing missed', async () => {
    await rig.start()
    const before = await rig.pay()
    rig.wake()
    await eventually(() => expect(receiver.ids()).to.deep.equal([created(before)]))
    await rig.delivered()
    await enable(false)
    const missed = await pay(3)
    await enable(true)
    const after = await rig.pay()
    await replay({ from: 'missed' })
    // The replay may send the last one again. What a transaction of another test hid from it comes as a new event.
    const all = new Set([before, ...missed, after].map(created))
    await eventually(() => expect(new Set(receiver.ids())).to.deep.equal(all))
    const again = { merchantId: DEFAULT_MERCHANT_ID, endpointId, id: randomUUID(), start: { from: 'missed' } } as const
    expect(await startReplay(rig.db, again)).to.deep.equal({ outcome: 'nothing-missed' })
  })

  // Promise 118
  it('webhooks: a delivery that has succeeded is sent again on request, also with a body that was pruned', async () => {
    await rig.start()
    const payment = await rig.pay()
    await rig.settle(payment)
    rig.wake()
    await eventually(() => expect(receiver.received).to.have.lengthOf(2))
    await rig.delivered()
    await rig.db.deleteFrom('webhook_payloads').execute()
    await redeliver(rig.db, { merchantId: DEFAULT_MERCHANT_ID, paymentId: payment, sequence: 1 })
    await eventually(() =>
      expect(receiver.ids()).to.deep.equal([created(payment), succeeded(payment), created(payment)]),
    )
    await rig.delivered()
    expect(receiver.received[2]?.body).to.equal(receiver.received[0]?.body)
    expect(await rig.db.selectFrom('webhook_attempts').selectAll().execute()).to.have.lengthOf(3)
  })

  it('webhooks: prunes finished deliveries after their time with attempts and payloads, and those of deleted endpoints', async () => {
    const kept = await rig.endpoint(`${receiver.url}/kept`)
    const process = await rig.start()
    const [old, young] = [await rig.pay(), await rig.pay()]
    rig.wake()
    await eventually(() => expect(receiver.received).to.have.lengthOf(4))
    await rig.delivered()
    await process.stop()
    const ageing = rig.db.updateTable('webhook_deliveries').set({ finished_at: new Date(Date.now() - 31 * DAY_MS) })
    await ageing.where('payment_id', '=', old).where('endpoint_id', '=', endpointId).execute()
    const count = async () => {
      const tables = ['webhook_deliveries', 'webhook_attempts', 'webhook_payloads'] as const
      return await Promise.all(
        tables.map(async (table) => (await rig.db.selectFrom(table).selectAll().execute()).length),
      )
    }
    const prune = () => pruneDeliveries(rig.db, { keptMs: 30 * DAY_MS, limit: 100 })
    expect(await prune()).to.equal(1)
    expect(await count()).to.deep.equal([3, 3, 2])
    await ageing.where('payment_id', '=', old).execute()
    expect(await prune()).to.equal(1)
    expect(await count()).to.deep.equal([2, 2, 1])
    await rig.db
      .updateTable('webhook_endpoints')
      .set({ deleted_at: new Date(Date.now() - 120_000) })
      .where('id', '=', kept.id)
      .execute()
    expect(await prune()).to.equal(1)
    expect(await prune()).to.equal(0)
    expect((await rig.deliveries()).map(({ payment_id }) => payment_id)).to.deep.equal([young])
  })

  it('webhooks: a process deletes old deliveries step by step, and no others', async () => {
    await query(
      rig.database.url,
      `insert into webhook_deliveries (endpoint_id, merchant_id, payment_id, sequence, type, event_at, status, finished_at)
      select '${endpointId}', '${DEFAULT_MERCHANT_ID}', gen_random_uuid(), 1, 'payment.created', now(), 'succeeded',
        now() - case when n <= 2500 then 31 else 29 end * interval '1 day'
      from generate_series(1, 2600) n`,
    )
    await rig.start()
    await eventually(async () => expect(await rig.deliveries()).to.have.lengthOf(100))
  })
})
