import { randomUUID } from 'node:crypto'
import { defined } from '@cashflow/async'
import { buryMessage } from '@cashflow/outbox'
import { eventually, OPERATOR, openClient } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import type pg from 'pg'
import { discard, listActions, redriveBatch, redrivePayment, requeue, settleByHand } from '../../src/operator.ts'
import { parkPayment } from '../../src/worker.ts'
import { claimPayment, createTestStore, type TestStore } from '../test-store.ts'

const BY = { by: OPERATOR }
const NO_SUCH_LETTER = { done: false, why: 'No unresolved dead letter has this id.' }

describe('operators, workers and each other at the same time', () => {
  let store: TestStore
  let other: pg.Client
  beforeEach(async () => {
    store = await createTestStore(10)
    other = await openClient(store.database.url)
  })
  afterEach(async () => {
    await other.end()
    await store.drop()
  })

  const row = (id: string) => store.db.selectFrom('payments').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  const letters = (key: string) =>
    store.db.selectFrom('dead_letters').selectAll().where('key', '=', key).orderBy('id').execute()
  const bury = async (key: string, source = 'worker') => {
    const letter = {
      messageId: randomUUID(),
      key,
      topic: 'payment.retry',
      payload: {},
      source,
      reason: 'r',
      attempts: 1,
    }
    await store.db.transaction().execute((tx) => buryMessage(tx, letter))
    return defined((await letters(key)).at(-1), 'dead letter').id
  }
  async function parked() {
    const { id } = await store.insert()
    await store.db.transaction().execute((tx) => parkPayment(tx, id, 0))
    return { id, letter: await bury(id) }
  }
  const settle = (paymentId: string) =>
    settleByHand(store.db, { paymentId, outcome: { outcome: 'approved' }, reason: 'the bank says so', ...BY })
  const claim = (id: string) =>
    claimPayment(store.db, id, { token: randomUUID(), leaseMs: 20_000, attemptsMax: 3, redriveAfterMs: 60_000 })
  const acts = async (target: string) =>
    (await listActions(store.db, { target, limit: 10 })).map(({ action }) => action)
  /** Starts an act while another session holds the payment's lock. That session commits when the act waits for it. */
  async function behindLock<Result>(id: string, act: () => Promise<Result>, statements: readonly string[] = []) {
    await other.query('begin')
    await other.query('select 1 from payments where id = $1 for update', [id])
    const acting = act()
    await eventually(async () => {
      const { rows } = await sql`select 1 from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`.execute(store.db)
      expect(rows).to.not.have.length(0)
    })
    for (const statement of statements) await other.query(statement)
    await other.query('commit')
    return await acting
  }

  // Promise 31
  it('discard refuses a letter whose payment a worker parks at the same time', async () => {
    const { id } = await store.insert()
    const letter = await bury(id)
    const park = `update payments set parked_at = now(), redrive_at = null where id = '${id}'`
    expect(await behindLock(id, () => discard(store.db, letter, { ...BY, reason: 'x' }), [park])).to.include({
      done: false,
    })
    expect(await letters(id)).to.have.length(1)
    expect((await letters(id))[0]).to.include({ resolution: null })
  })

  // Promise 30
  it('requeue leaves a payment parked that was requeued and parked again while it waited', async () => {
    const { id, letter } = await parked()
    const again = [
      `update dead_letters set resolved_at = now(), resolution = 'requeued' where id = ${letter}`,
      `insert into dead_letters (lane, message_id, key, topic, payload, source, reason)
        select lane, gen_random_uuid(), key, topic, payload, source, 'parked again' from dead_letters where id = ${letter}`,
    ]
    expect(await behindLock(id, () => requeue(store.db, letter, BY), again)).to.deep.equal(NO_SUCH_LETTER)
    expect((await row(id)).parked_at).to.not.equal(null)
    expect((await letters(id)).map(({ resolution }) => resolution)).to.deep.equal(['requeued', null])
    expect(await acts(id)).to.deep.equal([])
  })

  // Promise 30
  it('a requeue, a settlement and a discard of one parked payment agree on what happened, in any order', async () => {
    for (let round = 0; round < 20; round++) {
      const { id, letter } = await parked()
      const [requeued, settled, discarded, again] = await Promise.all([
        requeue(store.db, letter, BY),
        settle(id),
        discard(store.db, letter, { ...BY, reason: 'x' }),
        requeue(store.db, letter, BY),
      ])
      expect(settled).to.deep.equal({ done: true })
      expect(await row(id)).to.include({ status: 'SUCCESS', parked_at: null })
      const [stored] = await letters(id)
      const requeues = [requeued, again].filter(({ done }) => done).length
      expect(requeues).to.be.at.most(1)
      expect(discarded.done, 'the letter of a parked payment, or one that is resolved').to.equal(false)
      expect(stored?.resolution).to.equal(requeues === 1 ? 'requeued' : 'settled as SUCCESS: the bank says so')
      expect(await acts(id)).to.deep.equal([...['payments settle'], ...Array(requeues).fill('dead requeue')])
    }
  })

  // Promise 30
  it('requeue and discard of one message: exactly one is done, and only a requeue publishes it', async () => {
    for (let round = 0; round < 20; round++) {
      const key = randomUUID()
      const letter = await bury(key, 'outbox')
      const results = await Promise.all([
        requeue(store.db, letter, BY),
        discard(store.db, letter, { ...BY, reason: 'x' }),
        requeue(store.db, letter, BY),
      ])
      expect(results.filter(({ done }) => done)).to.have.length(1)
      const messages = await store.db.selectFrom('outbox_messages').select('id').where('key', '=', key).execute()
      expect(messages).to.have.length(results[1]?.done ? 0 : 1)
      expect(await acts(key)).to.deep.equal([results[1]?.done ? 'dead discard' : 'dead requeue'])
    }
  })

  // Promise 29
  it('a settlement and a claim of one payment: exactly one of them has it', async () => {
    for (let round = 0; round < 20; round++) {
      const { id } = await store.insert()
      const [settled, claimed, redriven] = await Promise.all([settle(id), claim(id), redrivePayment(store.db, id, BY)])
      expect(claimed.verdict).to.equal(settled.done ? 'settled' : 'claimed')
      const { status, lease_until } = await row(id)
      expect(status).to.equal(settled.done ? 'SUCCESS' : 'PENDING')
      // A redrive that came before the claim shortens no lease, and one that came after it is refused.
      if (!settled.done) expect(Number(lease_until)).to.be.above(Date.now() + 10_000)
      expect((await acts(id)).includes('redrive')).to.equal(redriven.done)
    }
  })

  // Promise 114
  it('redrive shortens no lease that a worker took while it waited for the lock', async () => {
    const { id } = await store.insert()
    const lease = `update payments set claim_token = gen_random_uuid(), lease_until = now() + interval '1 minute' where id = '${id}'`
    expect(await behindLock(id, () => redrivePayment(store.db, id, BY), [lease])).to.include({ done: false })
    expect(Number((await row(id)).lease_until)).to.be.above(Date.now() + 10_000)
  })

  it('an act that waits in vain for the lock of another session is refused, and changes nothing', async () => {
    const { id, letter } = await parked()
    const before = await row(id)
    await other.query('begin')
    await other.query('select 1 from payments where id = $1 for update', [id])
    const results = await Promise.all([
      requeue(store.db, letter, BY),
      discard(store.db, letter, { ...BY, reason: 'x' }),
      settle(id),
      redrivePayment(store.db, id, BY),
    ])
    for (const result of results) expect(result).to.have.property('why').that.includes('Another session has locked it')
    const skipped = { startedMicros: 0, pendingOverMs: 0, redriveMax: 100, isDryRun: false, ...BY }
    expect(await redriveBatch(store.db, skipped)).to.include({ redriven: 0 })
    await other.query('rollback')
    expect(await row(id)).to.deep.equal(before)
    expect(await acts(id)).to.deep.equal([])
  })
})
