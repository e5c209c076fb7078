import { randomUUID } from 'node:crypto'
import { createDatabase } from '@cashflow/db'
import { parkPayment } from '@cashflow/db/worker'
import type { Delivery } from '@cashflow/messaging'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createDeadDeliveryHandler } from '../src/handle-dead-delivery.ts'
import { createTestWorker, delivery, type TestWorker } from './test-worker.ts'

describe('handler of dead deliveries', () => {
  let payments: TestWorker
  before(async () => {
    payments = await createTestWorker()
  })
  after(() => payments.drop())

  const deliveryOf = (body: string | Buffer, options: Partial<Delivery> = {}) =>
    delivery(body, { redelivered: true, ...options })
  const handle = (dead: Delivery) => createDeadDeliveryHandler(payments).handle(dead)
  const letters = (key: string) =>
    payments.db.selectFrom('dead_letters').select(['source', 'topic', 'payload']).where('key', '=', key).execute()

  const lettersOf = (messageId: string) =>
    payments.db.selectFrom('dead_letters').select(['source', 'topic']).where('message_id', '=', messageId).execute()

  for (const [what, body] of [
    ['text', 'no payment'],
    ['bytes', Buffer.from([0, 0xff, 0])],
  ] as const) {
    // Promise 14
    it(`makes one dead letter of unreadable ${what}, however often it is delivered`, async () => {
      const id = randomUUID()
      for (let delivery = 0; delivery < 3; delivery += 1)
        expect(await handle(deliveryOf(body, { messageId: id }))).to.equal('ack')
      const found = await lettersOf(id)
      expect(found).to.have.length(1)
      expect(found[0]).to.include({ source: 'queue', topic: 'payment.created' })
    })
  }

  it('makes another dead letter of a message whose first one is resolved', async () => {
    const id = randomUUID()
    await handle(deliveryOf('?', { messageId: id }))
    await sql`update dead_letters set resolved_at = now(), resolution = 'seen' where message_id = ${id}`.execute(
      payments.db,
    )
    await handle(deliveryOf('?', { messageId: id }))
    expect(await lettersOf(id)).to.have.length(2)
  })

  it('makes a healthy payment overdue at once, without a dead letter', async () => {
    const id = await payments.pending()
    expect(await handle(deliveryOf(JSON.stringify({ payment_id: id })))).to.equal('ack')
    expect(Number((await payments.row(id)).redrive_at)).to.be.closeTo(Date.now(), 5_000)
    expect(await letters(id)).to.deep.equal([])
  })

  it('keeps the redrive time of a payment that was redriven and dead-lettered again', async () => {
    const id = await payments.pending()
    await payments.set(id, 'redrives = 1')
    const before = await payments.row(id)
    expect(await handle(deliveryOf(id))).to.equal('ack')
    expect(await payments.row(id)).to.deep.equal(before)
  })

  it('changes no parked or settled payment for a dead delivery', async () => {
    const [parked, settled] = [await payments.pending(), await payments.pending()]
    await payments.db.transaction().execute((tx) => parkPayment(tx, parked, 0))
    await payments.set(settled, "status = 'SUCCESS', settled_at = now(), redrive_at = null")
    for (const id of [parked, settled]) {
      const before = await payments.row(id)
      expect(await handle(deliveryOf(id))).to.equal('ack')
      expect(await payments.row(id)).to.deep.equal(before)
    }
  })

  // Promise 43
  it('keeps the redrive time of a payment that another session has locked, without waiting for the lock', async () => {
    const id = await payments.pending()
    const before = await payments.row(id)
    const other = await payments.db.startTransaction().execute()
    await sql`select 1 from payments where id = ${id} for update`.execute(other)
    expect(await handle(deliveryOf(id))).to.equal('ack')
    await other.rollback().execute()
    expect(await payments.row(id)).to.deep.equal(before)
    expect(payments.lines.at(-1)?.fields).to.include({ payment_id: id, redrive: 'locked' })
    expect(await letters(id)).to.deep.equal([])
  })

  it('makes a dead letter of a dead message that names no payment', async () => {
    const id = randomUUID()
    expect(await handle(deliveryOf(id))).to.equal('ack')
    expect(await letters(id)).to.have.length(1)
  })

  it('makes a dead letter of a message whose header PostgreSQL cannot store', async () => {
    const id = randomUUID()
    expect(await handle(deliveryOf(id, { headers: { 'x-request-id': 'r\u0000' } }))).to.equal('ack')
    expect(await letters(id)).to.have.length(1)
  })

  describe('with dead letters that PostgreSQL refuses', () => {
    const refuse = (condition: string) =>
      sql`create function refuse() returns trigger language plpgsql as $$ begin
          raise exception 'no equivalent in this encoding' using errcode = '22P05'; end $$;
        create trigger refused before insert on dead_letters for each row when (${sql.raw(condition)})
          execute function refuse()`.execute(payments.db)
    const accept = () =>
      sql`drop trigger if exists refused on dead_letters; drop function if exists refuse`.execute(payments.db)
    afterEach(accept)

    it('stores a body in base64 that PostgreSQL refuses as text', async () => {
      await refuse(`new.payload ->> 'encoding' = 'utf8'`)
      const body = `日本 ${randomUUID()}`
      const handler = createDeadDeliveryHandler({ ...payments, pauseMs: 1 })
      expect(await handler.handle(deliveryOf(body, { topic: 'é', messageId: '日本' }))).to.equal('ack')
      const { rows } = await sql<{ topic: string; body: string; reason: string }>`
        select topic, payload ->> 'body' as body, reason from dead_letters order by id desc limit 1`.execute(
        payments.db,
      )
      expect(Buffer.from(`${rows[0]?.body}`, 'base64').toString()).to.equal(body)
      expect(rows[0]?.topic).to.equal('?')
      expect(rows[0]?.reason).to.equal('the message is not readable, and PostgreSQL did not take it as text')
    })

    // Promise 61
    it('handles other dead messages while PostgreSQL refuses thirty, and stores the thirty when PostgreSQL accepts them', async () => {
      await refuse('true')
      payments.lines.length = 0
      const handler = createDeadDeliveryHandler({ ...payments, pauseMs: 50 })
      const stuck = Array.from({ length: 30 }, (_, index) =>
        handler.handle(deliveryOf(`stuck ${index} ${randomUUID()}`)),
      )
      const logged = (text: string) => payments.lines.filter(({ message }) => message === text)
      await eventually(() => expect(logged('dead message could not be stored, trying again')).to.have.length(1))
      const id = await payments.pending()
      expect(await handler.handle(deliveryOf(id))).to.equal('ack')
      expect(logged('all dead messages could be stored')).to.have.length(0)
      await accept()
      expect(new Set(await Promise.all(stuck))).to.deep.equal(new Set(['ack']))
      expect(logged('dead message could not be stored, trying again')).to.have.length(1)
      expect(logged('all dead messages could be stored')).to.have.length(1)
    })
  })

  it('worker: leaves dead deliveries that cannot be stored when their consumer drains', async () => {
    const { logger, lines } = payments
    const nowhere = createDatabase({ url: 'postgres://u:p@127.0.0.1:1/x', applicationName: 'test', poolMax: 1, logger })
    const handler = createDeadDeliveryHandler({ db: nowhere, logger, pauseMs: 3_600_000 })
    const consumer = new AbortController()
    // More than are stored at the same time: the others wait for their turn.
    const all = Array.from({ length: 8 }, () => handler.handle(deliveryOf('?', { draining: consumer.signal })))
    await eventually(() => expect(lines.map(({ message }) => message)).to.include('database away, trying again'))
    consumer.abort()
    expect(await Promise.race(all)).to.equal('leave')
    await handler.stop()
    await Promise.allSettled(all)
    await nowhere.destroy()
  })

  it('waits while the database is away, until the worker stops or the channel is gone', async () => {
    const { logger, lines } = payments
    const nowhere = createDatabase({ url: 'postgres://u:p@127.0.0.1:1/x', applicationName: 'test', poolMax: 1, logger })
    const handler = createDeadDeliveryHandler({ db: nowhere, logger })
    const channel = new AbortController()
    const moot = handler.handle(deliveryOf('?', { signal: channel.signal }))
    const waiting = handler.handle(deliveryOf('?')).catch((error: Error) => error.name)
    await eventually(() => expect(lines.map(({ message }) => message)).to.include('database away, trying again'))
    channel.abort()
    expect(await moot).to.equal('ack')
    await handler.stop()
    expect(await waiting).to.equal('AbortError')
    await nowhere.destroy()
  })
})
