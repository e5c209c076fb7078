import { randomUUID } from 'node:crypto'
import { claimPayments, parkPayment } from '@cashflow/db/worker'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createReconciler, type ReconcileOptions, reconcileOnce } from '../src/reconcile.ts'
import { createTestWorker, type TestWorker } from './test-worker.ts'

const REDRIVE_AFTER_MS = 60_000
const NOTHING = { redriven: 0, leased: 0, lagMs: 0, waiting: 0, paused: false }

describe('reconciler', () => {
  let payments: TestWorker
  let notified = 0
  let waiting = 0
  let isPaused = false
  beforeEach(async () => {
    payments = await createTestWorker()
    notified = 0
    waiting = 0
    isPaused = false
  })
  afterEach(() => payments.drop())

  const options = (): ReconcileOptions => ({
    db: payments.db,
    logger: payments.logger,
    notify: () => {
      notified += 1
    },
    redriveAfterMs: REDRIVE_AFTER_MS,
    waiting: () => waiting,
    isPaused: () => isPaused,
  })
  const reconcile = () => reconcileOnce(options())
  const outbox = () =>
    payments.db.selectFrom('outbox_messages').select(['key', 'topic', 'payload', 'headers', 'mandatory']).execute()
  const dueInMs = async (id: string) => Number((await payments.row(id)).redrive_at) - Date.now()
  async function overdue(count: number): Promise<string[]> {
    const ids: string[] = []
    // One after another: 200 at once may wait too long for a connection on a busy machine.
    while (ids.length < count) ids.push(await payments.pending())
    await sql`update payments set redrive_at = now() - interval '1 second'`.execute(payments.db)
    return ids
  }

  it('leaves a payment alone until its redrive is due', async () => {
    await payments.pending()
    expect(await reconcile()).to.deep.equal(NOTHING)
    expect(await outbox()).to.deep.equal([])
  })

  it('appends a new message for an overdue payment, and notifies the relays', async () => {
    const [id] = await overdue(1)
    expect(await reconcile()).to.deep.equal({ ...NOTHING, redriven: 1 })
    expect(await outbox()).to.deep.equal([
      {
        key: id,
        topic: 'payment.retry',
        payload: { payment_id: id },
        headers: { 'x-request-id': 'r-1' },
        mandatory: true,
      },
    ])
    expect(notified).to.equal(1)
  })

  it('doubles the redrive delay after each redrive, up to an hour, and starts again after a claim', async () => {
    const [id = ''] = await overdue(1)
    for (const minutes of [1, 2, 4, 8, 16, 32, 60, 60]) {
      expect(await reconcile()).to.deep.include({ redriven: 1 })
      expect(await dueInMs(id)).to.be.closeTo(minutes * 60_000, 10_000)
      await payments.set(id, "redrive_at = now() - interval '1 second'")
    }
    const options = { leaseMs: 1, attemptsMax: 3, redriveAfterMs: 60_000 }
    await claimPayments(payments.db, [{ id, token: randomUUID() }], options)
    await payments.set(id, "redrive_at = now(), lease_until = now() - interval '1 second'")
    expect(await reconcile()).to.deep.include({ redriven: 1 })
    expect(await dueInMs(id)).to.be.closeTo(60_000, 10_000)
  })

  // Promise 13
  it('redrives no parked or settled payments', async () => {
    const [parked = '', settled = ''] = await overdue(2)
    await payments.db.transaction().execute((tx) => parkPayment(tx, parked, 0))
    await payments.set(parked, 'redrive_at = now()')
    await payments.set(settled, "status = 'SUCCESS', settled_at = now()")
    expect(await reconcile()).to.deep.equal(NOTHING)
    expect(await outbox()).to.deep.equal([])
  })

  it('moves the redrive of a leased payment behind its lease', async () => {
    const [id = ''] = await overdue(1)
    await payments.set(id, "lease_until = now() + interval '30 seconds'")
    expect(await reconcile()).to.deep.equal({ ...NOTHING, leased: 1 })
    expect(await dueInMs(id)).to.be.closeTo(90_000, 10_000)
    expect(await outbox()).to.deep.equal([])
  })

  // Promise 13
  it('appends one message per due redrive when several workers reconcile at the same time', async () => {
    const ids = await overdue(250)
    for (let round = 0; round < 5; round += 1) {
      const results = await Promise.all(Array.from({ length: 4 }, reconcile))
      for (const { redriven } of results) expect(redriven).to.be.at.most(100)
    }
    const keys = (await outbox()).map(({ key }) => key)
    expect(keys.sort()).to.deep.equal(ids.sort())
  })

  for (const [what, move] of [
    ['unpublished', sql`update outbox_messages set created_at = now() - interval '61 seconds'`],
    [
      'scheduled past due',
      sql`
      with moved as (delete from outbox_messages returning *)
      insert into outbox_scheduled (lane, message_id, key, topic, payload, due_at)
      select lane, message_id, key, topic, payload, now() - interval '61 seconds' from moved`,
    ],
  ] as const) {
    it(`stops redriving while messages wait ${what}, logs that once, and continues when they are gone`, async () => {
      await overdue(1)
      await reconcile()
      await move.execute(payments.db)
      await overdue(2)
      expect((await reconcile()).lagMs).to.be.within(61_000, 180_000)
      const reconciler = createReconciler({ ...options(), intervalMs: 10 })
      await reconciler.start(new AbortController().signal)
      const logged = (text: string) => payments.lines.filter(({ message }) => message.startsWith(text))
      await eventually(() => expect(logged('payments are overdue because')).to.have.length(1))
      await sql`delete from outbox_messages`.execute(payments.db)
      await sql`delete from outbox_scheduled`.execute(payments.db)
      await eventually(() => expect(logged('overdue payments redriven')).to.have.length(1))
      await reconciler.stop()
      expect(logged('payments are overdue because')).to.have.length(1)
      expect(logged('overdue payments redriven')[0]?.fields).to.deep.equal({ redriven: 3, leased: 0 })
      expect(await outbox()).to.have.length(3)
    })
  }

  // Promise 13
  it('stops redriving while a message of a payment waits for a full queue, but not for messages of other topics', async () => {
    await overdue(1)
    await reconcile()
    await sql`
      with moved as (delete from outbox_messages returning *)
      insert into outbox_scheduled (lane, message_id, key, topic, payload, created_at, due_at, refused)
      select lane, message_id, key, 'payment.created', payload, now() - interval '61 seconds',
        now() + interval '10 seconds', true from moved`.execute(payments.db)
    await overdue(1)
    expect((await reconcile()).lagMs).to.be.within(61_000, 180_000)
    await sql`
      with copied as (update outbox_scheduled set topic = 'receipt.requested' returning *)
      insert into outbox_messages (lane, message_id, key, topic, payload, created_at)
      select lane, gen_random_uuid(), key, topic, payload, created_at from copied`.execute(payments.db)
    expect(await reconcile()).to.deep.equal({ ...NOTHING, redriven: 2 })
  })

  // Promise 13
  it('stops redriving while deliveries wait for the provider, logs that once, and continues when none waits', async () => {
    const ids = await overdue(2)
    waiting = 7
    expect(await reconcile()).to.deep.equal({ ...NOTHING, waiting: 7 })
    let rounds = 0
    const counted = () => {
      rounds += 1
      return waiting
    }
    const reconciler = createReconciler({ ...options(), waiting: counted, intervalMs: 10 })
    await reconciler.start(new AbortController().signal)
    await eventually(() => expect(rounds).to.be.above(3))
    expect(await outbox()).to.deep.equal([])
    waiting = 0
    await eventually(async () => expect(await outbox()).to.have.length(ids.length))
    await reconciler.stop()
    const lines = payments.lines.filter(({ message }) => message.includes('the provider is away'))
    expect(lines.map(({ fields }) => fields)).to.deep.equal([{ waiting: 7 }])
  })

  it('reconciler: redrives nothing during a pause, says so, and redrives at its end', async () => {
    const ids = await overdue(2)
    isPaused = true
    expect(await reconcile()).to.deep.equal({ ...NOTHING, paused: true })
    const reconciler = createReconciler({ ...options(), intervalMs: 10 })
    await reconciler.start(new AbortController().signal)
    const logged = (text: string) => payments.lines.filter(({ message }) => message.includes(text))
    await eventually(() => expect(logged('because of a pause, none is redriven')).to.have.length(1))
    expect(await outbox()).to.deep.equal([])
    isPaused = false
    await eventually(async () => expect(await outbox()).to.have.length(ids.length))
    await eventually(() => expect(logged('no pause is in force')).to.have.length(1))
    await reconciler.stop()
  })

  it('repeats the log line about a lasting condition, and logs its end once', async () => {
    await overdue(1)
    await reconcile()
    await sql`update outbox_messages set created_at = now() - interval '61 seconds'`.execute(payments.db)
    await overdue(1)
    const reconciler = createReconciler({ ...options(), intervalMs: 5, repeatMs: 20 })
    await reconciler.start(new AbortController().signal)
    const logged = (text: string) => payments.lines.filter(({ message }) => message.startsWith(text))
    await eventually(() => expect(logged('payments are overdue because messages')).to.have.length.above(2))
    await sql`delete from outbox_messages`.execute(payments.db)
    await eventually(() => expect(logged('payments are redriven again, their messages')).to.have.length(1))
    await reconciler.stop()
  })

  it('continues after an error, and stops during its pause', async () => {
    await sql`alter table payments rename to gone`.execute(payments.db)
    const reconciler = createReconciler({ ...options(), intervalMs: 20 })
    await reconciler.start(new AbortController().signal)
    const failed = () => expect(payments.lines.map(({ message }) => message).join()).to.include('could not look')
    await eventually(failed)
    await sql`alter table gone rename to payments`.execute(payments.db)
    await overdue(1)
    await eventually(async () => expect(await outbox()).to.have.length(1))
    await reconciler.stop()
  })
})
