import { defined } from '@cashflow/async'
import { requeue } from '@cashflow/db/operator'
import {
  answer,
  createTestVhost,
  eventually,
  OPERATOR,
  type PrivatePostgres,
  startPrivatePostgres,
  startScriptedServer,
} from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createDeadDeliveryHandler } from '../src/handle-dead-delivery.ts'
import { rescheduleMessage } from '../src/outcomes.ts'
import { createReconciler } from '../src/reconcile.ts'
import {
  createTestHandler,
  createTestWorker,
  delivery,
  publish,
  startHttpWorker,
  type TestWorker,
} from './test-worker.ts'

const BEHIND = 50

describe('worker with payments on damaged pages', function () {
  this.timeout(120_000)
  let server: PrivatePostgres
  let payments: TestWorker

  beforeEach(async () => {
    server = await startPrivatePostgres()
    payments = await createTestWorker(10, { url: server.url, name: 'payments', drop: () => server.stop() })
  })
  afterEach(() => payments.drop())

  /** Stores overdue payments in random order, and damages the first pages of their table. */
  async function damage({ count = 200, pages = 1 } = {}) {
    // The update of a sound row must not read a damaged page. Without autovacuum the page is not offered as free space, and
    // with half-empty index pages PostgreSQL does not visit it to look for dead rows.
    await sql`alter table payments set (autovacuum_enabled = false)`.execute(payments.db)
    for (const index of ['payments_pkey', 'payments_redrive', 'payments_reference_bytes'])
      await sql`alter index ${sql.id(index)} set (fillfactor = 40)`.execute(payments.db)
    for (let stored = 0; stored < count; stored += 1) await payments.pending()
    await sql`update payments set redrive_at = now() - random() * interval '1 hour'`.execute(payments.db)
    await sql`vacuum full payments`.execute(payments.db)
    const { rows } = await sql<{ id: string; page: number }>`
      select id, (ctid::text::point)[0]::int as page from payments`.execute(payments.db)
    const repair = await server.damage('payments', [...Array(pages).keys()])
    const idsOf = (isDamaged: boolean) => rows.filter(({ page }) => page < pages === isDamaged).map(({ id }) => id)
    return { damaged: idsOf(true), sound: idsOf(false), repair }
  }

  const letters = () => payments.db.selectFrom('dead_letters').selectAll().orderBy('id').execute()
  const logged = (text: string) => payments.lines.filter(({ message }) => message === text)

  // Promise 41
  it('rejects payments on a damaged page with the error of PostgreSQL, and settles the others of the batch', async () => {
    const { damaged, sound } = await damage()
    const { handle } = createTestHandler(payments, { charge: async () => ({ outcome: 'approved' }) })
    const ids = [...damaged.slice(0, 30), ...sound.slice(0, 30)]
    const settlements = await Promise.all(ids.map((id) => handle(delivery(id))))
    expect(settlements).to.deep.equal(ids.map((id) => (damaged.includes(id) ? 'reject' : 'ack')))
    const lines = logged('payment could not be processed, message rejected')
    expect(lines).to.have.length(30)
    expect(lines[0]?.fields.error).to.include({ code: 'XX001' })
    expect(payments.logged())
      .to.include('statement failed, trying again')
      .and.not.include('database away, trying again')
  })

  // Promise 41
  it('makes a dead letter of a payment whose page was damaged after its charge, and settles it after the repair', async () => {
    const id = await payments.pending()
    let repair = async () => {}
    const charged: string[] = []
    const provider = {
      async charge({ id }: { id: string }) {
        charged.push(id)
        if (charged.length === 1) repair = await server.damage('payments', [0])
        return { outcome: 'approved' } as const
      },
    }
    const { handle } = createTestHandler(payments, provider)
    expect(await handle(delivery(id))).to.equal('reject')
    expect(await createDeadDeliveryHandler(payments).handle(delivery(id))).to.equal('ack')
    const [letter] = await letters()
    expect(letter).to.include({ source: 'database', key: id })
    await repair()
    expect(await payments.row(id)).to.include({ status: 'PENDING' })
    await payments.expireLease(id)
    expect(await requeue(payments.db, defined(letter, 'dead letter').id, { by: OPERATOR })).to.deep.equal({
      done: true,
    })
    await withReconciler(async () => {
      await eventually(async () => expect(await redriven()).to.deep.equal([id]))
    })
    expect(await handle(delivery(id))).to.equal('ack')
    expect(await payments.row(id)).to.include({ status: 'SUCCESS' })
    expect(charged, 'both charges have the same key').to.deep.equal([id, id])
  })

  // Promise 41
  it('makes one dead letter of a payment on a damaged page, however often its message is rejected', async () => {
    const { damaged } = await damage()
    const id = defined(damaged[0], 'damaged payment')
    const { handle } = createDeadDeliveryHandler(payments)
    for (let time = 0; time < 2; time += 1)
      expect(await handle(delivery(id, { headers: { 'x-request-id': 'r-7' } }))).to.equal('ack')
    const [letter, ...more] = await letters()
    expect(more).to.deep.equal([])
    expect(letter).to.deep.include({
      source: 'database',
      key: id,
      payload: { payment_id: id },
      headers: { 'x-request-id': 'r-7' },
    })
    expect(letter?.reason).to.match(/^PostgreSQL cannot use the payment's row: XX001 .*block 0/)
    expect(logged('payment has an unusable row, it is now a dead letter')[0]?.fields).to.include({ payment_id: id })
  })

  // Promises 14, 41
  it('handles payments and an unreadable message behind 50 payments on damaged pages', async () => {
    const { damaged, sound } = await damage({ count: 150, pages: 2 })
    const [vhost, provider] = await Promise.all([createTestVhost(), startScriptedServer()])
    provider.script = answer(200, { status: 'approved' })
    const bodies = damaged.slice(0, BEHIND)
    const good = defined(sound[0], 'sound payment')
    expect(bodies).to.have.length(BEHIND)
    const worker = startHttpWorker({ payments, vhost, server: provider }, { WORKER_PREFETCH: '10' })
    try {
      await worker.logged('ready', { timeoutMs: 60_000 })
      for (const body of bodies) await publish(vhost, body)
      await publish(vhost, 'no payment')
      await publish(vhost, good)
      const soon = { timeoutMs: 30_000 }
      await eventually(async () => expect((await letters()).map(({ source }) => source)).to.include('queue'), soon)
      await eventually(async () => expect((await payments.row(good)).status).to.equal('SUCCESS'))
      await eventually(async () => {
        const keys = (await letters()).filter(({ source }) => source === 'database').map(({ key }) => key)
        expect(keys.toSorted()).to.deep.equal(bodies.toSorted())
      })
    } finally {
      worker.kill('SIGKILL')
      await provider.close()
      await vhost.drop()
    }
  })

  const redriven = async () => {
    const messages = await payments.db.selectFrom('outbox_messages').select('key').orderBy('key').execute()
    return messages.map(({ key }) => key)
  }

  async function withReconciler(work: () => Promise<void>): Promise<void> {
    const { db, logger } = payments
    const options = {
      db,
      logger,
      notify() {},
      redriveAfterMs: 600_000,
      waiting: () => 0,
      isPaused: () => false,
      intervalMs: 10,
    }
    const reconciler = createReconciler(options)
    await reconciler.start(new AbortController().signal)
    try {
      await work()
    } finally {
      await reconciler.stop()
    }
  }

  // Promise 42
  it('redrives all payments except those on damaged pages, and those after the repair', async () => {
    const { damaged, sound, repair } = await damage({ count: 300, pages: 3 })
    expect(damaged).to.have.length.above(80)
    await withReconciler(async () => {
      await eventually(async () => expect(await redriven()).to.deep.equal(sound.toSorted()), { timeoutMs: 60_000 })
    })
    const [line, ...more] = logged('PostgreSQL cannot use some rows, the other overdue payments are redriven')
    expect(more).to.deep.equal([])
    expect(line?.fields.spots).to.be.a('number').above(0)
    expect(line?.fields.error).to.include({ code: 'XX001' })
    await repair()
    await withReconciler(async () => {
      await eventually(async () => expect(await redriven()).to.deep.equal([...damaged, ...sound].toSorted()))
    })
  })

  for (const [table, what] of [
    ['payment_events', 'their history'],
    ['outbox_scheduled', 'a scheduled message'],
  ] as const)
    it(`redrives payments although a damaged page holds ${what}`, async () => {
      const ids = await Promise.all(Array.from({ length: 10 }, () => payments.pending()))
      await sql`update payments set redrive_at = now() - interval '1 hour'`.execute(payments.db)
      await payments.db
        .transaction()
        .execute((tx) => rescheduleMessage(tx, { paymentId: 'other', messageId: undefined, requestId: undefined }, 0))
      await server.damage(table, [0])
      await withReconciler(async () => {
        await eventually(async () => expect(await redriven()).to.deep.equal(ids.toSorted()))
      })
      expect(logged('PostgreSQL cannot use some rows, the other overdue payments are redriven')).to.have.length(1)
    })
})
