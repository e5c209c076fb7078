import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { buryMessage } from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'
import { eventually, openClient, REPOSITORY } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { findPayment, insertPayments } from '../../src/index.ts'
import { createTestStore, newPayment, storePayments, type TestStore } from '../test-store.ts'

const DAY_MS = 86_400_000
const OLD_MS = 100 * DAY_MS

interface Old {
  id: string
  reference: string
}

describe('pruning by the statements of docs/operations.md', () => {
  let store: TestStore
  let recipe: string[]
  before(async () => {
    store = await createTestStore()
    const page = await readFile(join(REPOSITORY, 'docs/operations.md'), 'utf8')
    const section = page.slice(page.indexOf('## Pruning'), page.indexOf('\n## ', page.indexOf('## Pruning') + 1))
    recipe = [...section.matchAll(/```sql\n([^`]*)```/g)].map(([, text]) => text ?? '')
    expect(recipe).to.have.length(4)
  })
  after(() => store.drop())

  const run = (text: string) => sql.raw(text).execute(store.db)
  /** One round of the recipe. */
  async function prune(): Promise<void> {
    for (const statement of recipe) await run(statement)
  }

  /** A payment that was created, and unless it is PENDING settled, some time ago. */
  async function stored({ ageMs = OLD_MS, status = 'SUCCESS', reference = randomUUID() as string } = {}): Promise<Old> {
    const id = idOf(ageMs)
    await sql`
      with p as (
        insert into payments (id, merchant_id, reference, amount_minor, currency, status, settled_at, redrive_at)
        select ${id}, m.id, ${reference}, 10050, 'USD', ${status},
          case when ${status} <> 'PENDING' then now() - ${ageMs} * interval '1 millisecond' end,
          case when ${status} = 'PENDING' then now() end
        from merchants m returning id, merchant_id
      )
      , attempted as (insert into payment_attempts (payment_id, kind, actor) select id, 'redriven', 'test' from p)
      insert into payment_events (payment_id, merchant_id, sequence, type, data, actor)
      select id, merchant_id, n, 'payment.event', '{}', 'test' from p, generate_series(1, 2) n`.execute(store.db)
    return { id, reference }
  }

  function idOf(ageMs: number): string {
    const time = (Date.now() - ageMs).toString(16).padStart(12, '0')
    return `${time.slice(0, 8)}-${time.slice(8)}${uuidv7().slice(13)}`
  }

  const post = async (reference: string, money?: { amountMinor: bigint; currency: 'USD' | 'ETB' }) => {
    const created = { ...newPayment(reference, money), requestId: 'r', messages: [] }
    const [holder] = await storePayments(store.db, [created], { redriveAfterMs: 60_000 })
    return holder
  }
  const payments = async (reference: string) =>
    (await sql<Old>`select id from payments where reference = ${reference}`.execute(store.db)).rows
  const find = (id: string) => findPayment(store.db, { merchantId: DEFAULT_MERCHANT_ID, id })
  const events = async (id: string) =>
    (await sql`select 1 from payment_events where payment_id = ${id}`.execute(store.db)).rows.length
  const attempts = async (id: string) =>
    (await sql`select 1 from payment_attempts where payment_id = ${id}`.execute(store.db)).rows.length
  const codeOf = (attempt: Promise<unknown>) =>
    attempt.then(
      () => 'done',
      (error: { code?: string }) => error.code,
    )

  it('deletes payments that were settled long ago, with their events, and no others', async () => {
    const gone = await Promise.all(['SUCCESS', 'FAILED'].map((status) => stored({ status })))
    const kept = await Promise.all([
      stored({ status: 'PENDING' }),
      stored({ ageMs: 80 * DAY_MS }),
      stored({ reference: 'has a letter' }),
    ])
    const letter = { messageId: uuidv7(), topic: 't', source: 'outbox', reason: 'r', attempts: 1, payload: {} }
    await store.db.transaction().execute((tx) => buryMessage(tx, { ...letter, key: kept[2]?.id ?? '' }))
    await prune()
    for (const { id } of gone) expect([await find(id), await events(id), await attempts(id)]).to.eql([undefined, 0, 0])
    for (const { id } of kept) expect([(await find(id))?.id, await events(id), await attempts(id)]).to.eql([id, 2, 1])
  })

  it('deletes the attempts of pruned payments by the statement of an earlier version, which does not name them', async () => {
    const { id } = await stored()
    await run(recipe[0] ?? '')
    await run(
      `with gone as (delete from payment_events where payment_id = '${id}') delete from payments where id = '${id}'`,
    )
    expect(await attempts(id)).to.equal(0)
  })

  // Promise 113
  it('deletes the redrives of pruned payments from the acts of operators, and no other act', async () => {
    const [gone, kept, pruned] = [await stored(), await stored({ ageMs: 80 * DAY_MS }), await stored()]
    for (const { id } of [gone, kept])
      await run(`insert into operator_actions (actor, via, action, target) values ('ann', 'test', 'redrive', '${id}')`)
    await run(`insert into operator_actions (actor, via, action, target)
      values ('ann', 'test', 'payments settle', '${pruned.id}'), ('ann', 'test', 'pause', 'worker')`)
    const deleted = () => run(`delete from operator_actions where target = '${gone.id}'`)
    expect(await codeOf(deleted()), 'before its payment is pruned').to.equal('42501')
    await run(recipe[0] ?? '')
    expect(await codeOf(deleted()), 'while its payment is there').to.equal('42501')
    await prune()
    const { rows } = await sql<{ target: string }>`select target from operator_actions order by id`.execute(store.db)
    expect(rows.map(({ target }) => target)).to.eql([kept.id, pruned.id, 'worker'])
    for (const { target } of rows)
      expect(await codeOf(run(`delete from operator_actions where target = '${target}'`))).to.equal('42501')
  })

  it('deletes dead letters that were resolved long ago, and no others', async () => {
    const letter = { topic: 't', source: 'rabbitmq', reason: 'r', attempts: 1, payload: {} }
    await store.db.transaction().execute(async (tx) => {
      for (const key of ['old', 'recent', 'open']) await buryMessage(tx, { ...letter, messageId: uuidv7(), key })
    })
    await run(`update dead_letters set resolution = 'discarded',
      resolved_at = now() - case key when 'old' then interval '91 days' else interval '89 days' end
      where key in ('old', 'recent')`)
    await prune()
    const { rows } = await sql<{ key: string }>`
      select key from dead_letters where source = 'rabbitmq' order by key`.execute(store.db)
    expect(rows.map(({ key }) => key)).to.eql(['open', 'recent'])
  })

  it('deletes 1,000 payments in a round, and all of them after enough rounds', async () => {
    await Promise.all(Array.from({ length: 1_050 }, () => stored()))
    const count = async () =>
      Number(
        (
          await sql<{ n: string }>`select count(*) n from payments where settled_at < now() - interval '90 days'
          and reference <> 'has a letter'`.execute(store.db)
        ).rows[0]?.n,
      )
    await prune()
    expect(await count()).to.equal(50)
    await prune()
    expect(await count()).to.equal(0)
  })

  // Promise 50
  it('lets the api store no payment with a pruned reference, and name the payment that had it', async () => {
    const { id, reference } = await stored()
    await prune()
    expect(await payments(reference)).to.eql([])
    expect(await post(reference)).to.eql({ has: 'reference', paymentId: id, mismatch: [] })
    const other = await post(reference, { amountMinor: 1n, currency: 'USD' })
    expect(other).to.eql({ has: 'reference', paymentId: id, mismatch: ['amount'] })
    expect(await post(reference, { amountMinor: 10_050n, currency: 'ETB' })).to.have.property('paymentId', id)
    expect(await payments(reference)).to.eql([])
  })

  it('lets the api store the others of a batch when the reference of one was pruned', async () => {
    const { id, reference } = await stored()
    await prune()
    const [pruned, free] = [newPayment(reference), newPayment()].map((one) => ({
      ...one,
      requestId: 'r',
      messages: [],
    }))
    if (!pruned || !free) throw new Error('Two were made')
    const holders = await storePayments(store.db, [pruned, free], { redriveAfterMs: 60_000 })
    expect(holders.map(({ paymentId }) => paymentId)).to.eql([id, free.payment.id])
    expect(await events(pruned.payment.id)).to.equal(0)
  })

  // Promise 50
  it('waits for an insert that began before the reference was pruned, and would store it a second time', async () => {
    const { id, reference } = await stored({ reference: 'pruned while it is inserted' })
    const blocker = await store.db.startTransaction().execute()
    const first = newPayment('a blocker, sorted before it')
    await insertPayments(blocker, [{ ...first, requestId: 'r', messages: [] }], { redriveAfterMs: 60_000 })
    const batch = [newPayment(first.payment.reference), newPayment(reference)].map((one) => ({
      ...one,
      requestId: 'r',
      messages: [],
    }))
    const inserting = storePayments(store.db, batch, { redriveAfterMs: 60_000 })
    await waiting(`wait_event_type = 'Lock' and query like '%insert into "payments" %'`)
    await run(recipe[0] ?? '')
    let deleted = false
    const deleting = run(recipe[1] ?? '').then(() => {
      deleted = true
    })
    await waiting("wait_event = 'PgSleep' and query like '%delete from payments %'")
    expect(deleted).to.equal(false)
    await blocker.rollback().execute()
    const [, holder] = await inserting
    await deleting
    expect(holder?.paymentId).to.equal(id)
    expect(await payments(reference)).to.eql([])
    expect((await post(reference))?.paymentId).to.equal(id)
  })

  /** Resolves when the condition holds for a session of this database. */
  async function waiting(condition: string): Promise<void> {
    await eventually(async () => {
      const { rows } = await run(`select 1 from pg_stat_activity where datname = current_database() and ${condition}`)
      if (rows.length === 0) throw new Error(`No session has ${condition}`)
    })
  }

  // Promise 50
  it('PostgreSQL refuses to prune a payment unless an earlier transaction stored its reference as pruned', async () => {
    const { id } = await stored()
    const keep = sql`
      insert into pruned_references (merchant_id, reference, id, amount_minor, currency)
      select merchant_id, reference, id, amount_minor, currency from payments where id = ${id}`
    const remove = sql`delete from payments where id = ${id}`
    expect(await codeOf(remove.execute(store.db))).to.equal('23001')
    const both = store.db.transaction().execute(async (tx) => {
      await keep.execute(tx)
      await remove.execute(tx)
    })
    expect(await codeOf(both)).to.equal('23001')
    await keep.execute(store.db)
    expect(await codeOf(remove.execute(store.db))).to.equal('done')
  })

  // Promise 50
  it('PostgreSQL refuses to prune while a service of an earlier version is connected, which would store the reference again', async () => {
    const { reference } = await stored()
    await run(recipe[0] ?? '')
    const former = await openClient(store.database.url, { application_name: 'cashflow-api' })
    expect(await codeOf(run(recipe[1] ?? ''))).to.equal('55006')
    expect(await payments(reference)).to.have.length(1)
    await former.end()
    await eventually(async () => expect(await codeOf(run(recipe[1] ?? ''))).to.equal('done'))
    expect(await payments(reference)).to.eql([])
  })

  // Promise 50
  it('PostgreSQL refuses to prune a PENDING payment', async () => {
    const { id } = await stored({ status: 'PENDING' })
    await sql`
      insert into pruned_references (merchant_id, reference, id, amount_minor, currency)
      select merchant_id, reference, id, amount_minor, currency from payments where id = ${id}`.execute(store.db)
    expect(await codeOf(sql`delete from payments where id = ${id}`.execute(store.db))).to.equal('23001')
  })
})
