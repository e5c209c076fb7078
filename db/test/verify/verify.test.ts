import { randomUUID } from 'node:crypto'
import { buryMessage } from '@cashflow/outbox'
import { OPERATOR, openClient } from '@cashflow/testing'
import { expect } from 'chai'
import { createTestStore, type TestStore } from '../test-store.ts'
import { verifiedPayments } from './verified.ts'

/** PostgreSQL reads as many levels. */
const DEEP = 5_000

describe('verify', () => {
  let store: TestStore
  beforeEach(async () => {
    store = await createTestStore(2)
  })
  afterEach(() => store.drop())

  const { change, verified, settled, keepReference } = verifiedPayments(() => store)

  it('verify finds nothing in payments that are PENDING, settled and declined', async () => {
    const { id: pending } = await store.insert()
    const ids = [pending, await settled(), await settled('declined')]
    const { counts, findings } = await verified({ isSealed: true })
    expect(findings).to.deep.equal([])
    const none = { messages: 0, deliveries: 0, unsealed: 0, unsealedEnds: 0, sealed: 0, findings: 0 }
    expect(counts).to.deep.equal({ payments: 3, events: 5, ...none })
    for (const paymentId of ids) expect((await verified({ paymentId })).counts).to.include({ payments: 1, findings: 0 })
    const tomorrow = new Date(Date.now() + 86_400_000)
    expect((await verified({ since: tomorrow })).counts).to.include({ payments: 0 })
    expect((await verified({ since: new Date(0) })).counts).to.include({ payments: 3 })
  })

  it('verify finds deleted events, an event too many, and a hash that was removed', async () => {
    const remove = `delete from payment_events where payment_id = $1 and sequence = $2`
    const [first, last, all, more, hash] = [
      await settled(),
      await settled(),
      await settled(),
      await settled(),
      await settled(),
    ]
    await change(remove, first, 1)
    await change(remove, last, 2)
    await change('delete from payment_events where payment_id = $1', all)
    await change(
      `insert into payment_events (payment_id, merchant_id, sequence, type, actor, hash)
        select payment_id, merchant_id, 3, type, actor, hash from payment_events where payment_id = $1 and sequence = 2`,
      more,
    )
    await change('update payment_events set hash = null where payment_id = $1 and sequence = 1', hash)
    const whatOf = async (paymentId: string) => (await verified({ paymentId })).what
    expect(await whatOf(first)).to.include.members(['sequences of the events', 'hash of event 2'])
    expect(await whatOf(last)).to.include.members([
      'status of row and events',
      'settled_at of row and events',
      'last_hash',
    ])
    expect(await whatOf(all)).to.deep.equal(['events'])
    expect(await whatOf(more)).to.include.members(['type of event 3', 'hash of event 3'])
    expect(await whatOf(hash)).to.deep.equal(['hash of event 1'])
    expect((await verified()).counts.payments).to.equal(5)
  })

  it('verify finds events without a payment, except those of a pruned one', async () => {
    const [gone, pruned] = [await settled(), await settled()]
    await keepReference(pruned)
    await change(`do $$ begin
      set local session_replication_role = replica;
      delete from payments;
    end $$`)
    const { findings } = await verified()
    expect(findings).to.deep.equal([{ paymentId: gone, what: 'payment', expected: 'a row', found: null }])
  })

  it('verify finds a payment that nothing processes, and a parked one without a dead letter', async () => {
    const [stuck, parked, shown] = [await store.insert(), await store.insert(), await store.insert()]
    await change('update payments set redrive_at = null where id = $1', stuck.id)
    await change('update payments set redrive_at = null, parked_at = now() where id = any($1)', [parked.id, shown.id])
    const [redriven, leased, within] = [await store.insert(), await store.insert(), await store.insert()]
    await change(`update payments set redrive_at = 'infinity' where id = $1`, redriven.id)
    await change(`update payments set lease_until = now() + interval '25 hours' where id = $1`, leased.id)
    await change(
      `update payments set lease_until = now() + interval '23 hours', redrive_at = now() + interval '23 hours' where id = $1`,
      within.id,
    )
    const letter = { key: shown.id, topic: 'payment.retry', source: 'worker', reason: 'r', attempts: 10, payload: {} }
    await store.db.transaction().execute((tx) => buryMessage(tx, { ...letter, messageId: randomUUID() }))
    const { findings } = await verified()
    expect(findings.map(({ paymentId, what }) => [paymentId, what])).to.have.deep.members([
      [stuck.id, 'redrive_at'],
      [parked.id, 'dead letter'],
      [redriven.id, 'redrive_at'],
      [leased.id, 'lease_until'],
    ])
  })

  it('verify finds an event of another type than one that changes the reference, behind the end', async () => {
    const id = await settled()
    await change(
      `insert into payment_events (payment_id, merchant_id, sequence, type, actor)
        select id, merchant_id, 3, 'payment.refunded', 'worker' from payments where id = $1`,
      id,
    )
    expect((await verified()).what).to.deep.equal(['type of event 3', 'hash of event 3'])
  })

  it('verify goes on behind data with too many levels for a hash', async () => {
    const [deep, other] = [await settled(), await settled()]
    await change(
      `update payment_events set data = (repeat('{"a":', $2) || '1' || repeat('}', $2))::jsonb where payment_id = $1 and sequence = 1`,
      deep,
      DEEP,
    )
    await change('update payments set amount_minor = 1 where id = $1', other)
    const { counts, findings } = await verified()
    expect(findings.map(({ paymentId, what }) => [paymentId, what])).to.have.deep.members([
      [deep, 'row or events'],
      [other, 'amount'],
    ])
    expect(counts).to.include({ payments: 2 })
  })

  it('verify accepts a reference that migrate has changed before the payment was settled', async () => {
    const { id, reference } = await store.insert()
    await change('update payments set reference = $1 where id = $2', `${reference}#2`, id)
    await change(
      `insert into payment_events (payment_id, merchant_id, sequence, type, data, actor)
        select id, merchant_id, 3, 'payment.reference_changed', $2, 'migrate' from payments where id = $1`,
      id,
      JSON.stringify({ reference: `${reference}#2`, reference_before: reference, duplicate_of: randomUUID() }),
    )
    await verified({ sealsAs: OPERATOR })
    expect((await verified({ isSealed: true })).findings).to.deep.equal([])
    await change(`update payment_events set data = data || '{"reference_before": "x"}' where sequence = 3`)
    expect((await verified()).what).to.deep.equal(['reference_before of event 3', 'hash of event 3'])
  })

  it('verify waits for a table that a migration has locked', async () => {
    await settled()
    const migration = await openClient(store.database.url)
    await migration.query('begin; lock table payment_events')
    const verifying = verified()
    let isDone = false
    void verifying.then(() => {
      isDone = true
    })
    const waiting = await openClient(store.database.url)
    // A statement waits for the lock, fails at its limit of 2 s, and is sent again.
    const waits = async () =>
      (
        await waiting.query(
          `select query_start from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
        )
      ).rows
    const seen = new Set<number>()
    while (seen.size < 2) for (const { query_start } of await waits()) seen.add(Number(query_start))
    expect(isDone).to.equal(false)
    await migration.query('commit')
    expect((await verifying).counts).to.include({ payments: 1, findings: 0 })
    await Promise.all([migration.end(), waiting.end()])
  })
})
