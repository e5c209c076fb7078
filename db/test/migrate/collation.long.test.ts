import { defined } from '@cashflow/async'
import { DEFAULT_MERCHANT_ID, settlePayment } from '@cashflow/domain'
import { buryMessage, createTopics, outboxLagMs, promoteDue, resolveDeadLettersOf } from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import { findPayment, type Tables } from '../../src/index.ts'
import { DuplicatesError } from '../../src/migrate/duplicates.ts'
import { claimPayments } from '../../src/worker.ts'
import { newPayment, storePayments, storeSettlements } from '../test-store.ts'
import {
  changeLocale,
  createFormerDatabase,
  type FormerDatabase,
  migrateAll,
  migrateUpTo,
  open,
} from './former-database.ts'

const COUNT = 300
// Letters, digits and punctuation: collations differ in their order.
const REFERENCES = Array.from({ length: COUNT }, (_, n) => `${'aBcD'[n % 4]}${n % 3 === 0 ? '-' : ''}Ref_${n * 7919}`)
const LONG = 'x'.repeat(255)
const LETTER = { topic: 't', payload: {}, reason: 'r', attempts: 3 }

describe('migrate', () => {
  let former: FormerDatabase
  let db: Kysely<Tables>

  beforeEach(async () => {
    former = await createFormerDatabase('en-US')
    db = former.db
  })
  afterEach(async () => {
    if (db !== former.db) await db.destroy()
    await former.drop()
  })

  const created = (reference: string) => ({ ...newPayment(reference), requestId: 'r', messages: [] })
  const insert = (references: readonly string[]) =>
    storePayments(db, references.map(created), { redriveAfterMs: 60_000 })
  /** Inserts payments as the version before did, without `collate`. */
  async function insertFormerly(references: readonly string[]): Promise<number> {
    const rows = references.map((reference) => ({ id: uuidv7(), reference }))
    const { rows: inserted } = await sql`
      with stored as (
        insert into payments (id, merchant_id, reference, amount_minor, currency, status)
        select given.id, m.id, given.reference, 100, 'USD', 'PENDING'
        from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as given (id uuid, reference text)
        cross join (select id from merchants) m (id)
        on conflict do nothing returning id, merchant_id
      )
      insert into payment_events (payment_id, merchant_id, sequence, type, actor)
      select id, merchant_id, 1, 'payment.created', 'api' from stored returning 1`.execute(db)
    return inserted.length
  }
  const payments = async () =>
    (
      await sql<{ id: string; reference: string; status: string; amount_minor: string }>`
        select id, reference, status, amount_minor from payments order by created_at, id`.execute(db)
    ).rows

  async function changeOrder(): Promise<void> {
    await changeLocale(former, 'en-US-u-kn-true-kf-upper-kr-latn-digit')
    if (db !== former.db) await db.destroy()
    db = open(former.url) // Open sessions keep the former order.
  }

  // Promise 49
  it('keeps references unique when the collation of a migrated database changes', async () => {
    await migrateAll(db)
    await insert(REFERENCES)
    await changeOrder()
    const holders = await insert(REFERENCES)
    const stored = await payments()
    expect(stored.map(({ reference }) => reference)).to.have.members(REFERENCES)
    expect(holders.map(({ paymentId }) => paymentId)).to.have.members(stored.map(({ id }) => id))
  })

  // Promise 49
  it('lets look-ups by topic or key find each refused message and dead letter after the collation changes', async () => {
    await migrateAll(db)
    await sql`
      insert into outbox_scheduled (lane, message_id, key, topic, payload, created_at, due_at, refused)
      select 0, gen_random_uuid(), 'k', topic, '{}', now() - interval '1 hour', now(), true
      from unnest(${REFERENCES}::text[]) topic`.execute(db)
    const bury = (key: string) =>
      db.transaction().execute((tx) => buryMessage(tx, { ...LETTER, key, messageId: uuidv7(), source: 'worker' }))
    for (const key of REFERENCES) expect(await bury(key)).to.equal(true)
    await changeOrder()
    for (const topic of REFERENCES) expect(await outboxLagMs(db, [topic]), topic).to.be.above(0)
    expect(await promoteDue(db, createTopics())).to.equal(COUNT)
    for (const key of REFERENCES) {
      expect(await bury(key), key).to.equal(false)
      await db.transaction().execute((tx) => resolveDeadLettersOf(tx, { source: 'worker', key }, 'r'))
    }
    expect((await sql`select 1 from dead_letters where resolved_at is null`.execute(db)).rows).to.deep.equal([])
  })

  // Promise 51
  it('lists payments that a changed collation let in twice by their ids, and changes nothing', async () => {
    await insertFormerly([...REFERENCES, LONG])
    await changeOrder()
    const twice = await insertFormerly(REFERENCES)
    expect(twice).to.be.above(10)
    const before = await structure()
    const listed: string[] = []
    const logger = { error: (_: string, { later_ids }: { later_ids: string[] }) => listed.push(...later_ids) }
    const error = await migrateAll(db, { logger: logger as never }).catch((error: unknown) => error)
    expect(error).to.be.instanceOf(DuplicatesError)
    expect((error as Error).message)
      .to.include(`${twice} payments`)
      .and.include('--set-aside-duplicates')
    expect(await structure()).to.deep.equal(before)
    const stored = await payments()
    expect(listed).to.have.members(stored.slice(COUNT + 1).map(({ id }) => id))
    // A service of the version before looks for this row when it starts.
    expect((await sql`select 1 from kysely_migration where name = '0006_refused_topics'`.execute(db)).rows).length(1)
  })

  const structure = async () =>
    (
      await sql`
        select relname, relfilenode from pg_class where relnamespace = 'public'::regnamespace order by 1`.execute(db)
    ).rows

  // Promise 51
  it('sets duplicate payments aside: each keeps status and money, and its history has the former reference', async () => {
    await insertFormerly(REFERENCES)
    await changeOrder()
    const twice = await insertFormerly(REFERENCES)
    await sql`drop index payments_redrive`.execute(db) // The search for duplicates must not depend on this index.
    const before = await payments()
    const { applied } = await migrateAll(db, { setAsideDuplicates: true })
    expect(applied).to.include('0008_text_by_bytes')
    const after = await payments()
    const changed = after.filter(({ reference }, index) => reference !== before[index]?.reference)
    expect(changed).to.have.length(twice)
    for (const [index, { id, reference, ...rest }] of after.entries()) {
      const { reference: referenceBefore, id: idBefore, ...restBefore } = defined(before[index], 'payment before')
      expect({ id, ...rest }).to.deep.equal({ id: idBefore, ...restBefore })
      if (index < COUNT) expect(reference).to.equal(referenceBefore)
      else expect(reference).to.equal(`${referenceBefore}#${id}`)
    }
    const one = defined(changed[0], 'changed payment')
    const events = await db
      .selectFrom('payment_events')
      .select(['sequence', 'type', 'actor', 'data'])
      .where('payment_id', '=', one.id)
      .orderBy('sequence')
      .execute()
    const first = defined(
      before.find(({ reference }) => one.reference.startsWith(`${reference}#`)),
      'first payment',
    )
    expect(events.slice(1)).to.deep.equal([
      {
        sequence: 3, // 2 belongs to the event that settles the payment.
        type: 'payment.reference_changed',
        actor: 'migrate',
        data: { reference: one.reference, reference_before: first.reference, duplicate_of: first.id },
      },
    ])
    // A client that sends the reference again gets the first payment.
    const [holder] = await insert([first.reference])
    expect(holder?.paymentId).to.equal(first.id)
    // The payment that was set aside can still be settled.
    const [payment, token] = [await findPayment(db, { merchantId: DEFAULT_MERCHANT_ID, id: one.id }), uuidv7()]
    if (!payment) throw new Error('bug: the payment is not stored')
    await claimPayments(db, [{ id: payment.id, token }], { leaseMs: 60_000, attemptsMax: 10, redriveAfterMs: 60_000 })
    const settlement = settlePayment(payment, { outcome: 'approved' }, new Date())
    if (!settlement.settled) throw new Error('bug: the payment is settled')
    const settling = { ...settlement, token, actor: 'worker', requestId: undefined, previousHash: null, messages: [] }
    expect(await storeSettlements(db, [settling])).to.deep.equal(['SUCCESS'])
  })

  it('sets aside duplicates of a reference of 255 characters, and keeps to that length', async () => {
    await sql`alter table payments drop constraint payments_merchant_id_reference_key`.execute(db)
    await insertFormerly([LONG, LONG, LONG])
    await migrateAll(db, { setAsideDuplicates: true })
    const [first, ...later] = await payments()
    expect(first?.reference).to.equal(LONG)
    for (const { id, reference } of later) expect(reference).to.equal(`${LONG.slice(0, 255 - 37)}#${id}`)
  })

  it('finds duplicates that services store between the search and the creation of the index', async () => {
    await sql`alter table payments drop constraint payments_merchant_id_reference_key`.execute(db)
    await migrateUpTo(db, '0007_pruned_references')
    let late: Promise<number> | undefined
    const logger = {
      info: (message: string) => {
        if (message === 'migration step begins') late ??= insertFormerly(['late', 'late'])
      },
      warn: () => {},
    }
    const holder = open(former.url, 2)
    const transaction = await holder.startTransaction().execute()
    await sql`lock table payments in share row exclusive mode`.execute(transaction)
    const migrated = migrateAll(db, { logger: logger as never, setAsideDuplicates: true })
    // The insert and the index wait for the same lock, so the index has not begun to refuse duplicates.
    await eventually(async () => {
      const { rows } = await sql`
        select 1 from pg_locks where relation = 'payments'::regclass and not granted`.execute(holder)
      expect(rows).to.have.length(2)
    })
    await transaction.commit().execute()
    await holder.destroy()
    expect((await migrated).applied).to.include('0008_text_by_bytes')
    expect(await late).to.equal(2)
    const stored = await payments()
    expect(stored.map(({ reference }) => reference)).to.deep.equal(['late', `late#${stored[1]?.id}`])
  })

  it('sets duplicate dead letters aside: the later ones are resolved, and messages of the outbox are scheduled', async () => {
    await sql`drop index dead_letters_unresolved`.execute(db)
    const bury = (source: string) =>
      db.transaction().execute((tx) => buryMessage(tx, { ...LETTER, key: 'k', messageId: uuidv7(), source }))
    for (const source of ['worker', 'worker', 'outbox', 'outbox']) await bury(source)
    await migrateAll(db, { setAsideDuplicates: true })
    const { rows } = await sql`select id, source, resolution from dead_letters order by id`.execute(db)
    expect(rows).to.deep.equal([
      { id: '1', source: 'worker', resolution: null },
      { id: '2', source: 'worker', resolution: 'duplicate of 1' },
      { id: '3', source: 'outbox', resolution: null },
      { id: '4', source: 'outbox', resolution: 'duplicate of 3' },
    ])
    const waiting = await sql`
      select s.attempts from outbox_scheduled s join dead_letters d using (message_id) where d.id = 4`.execute(db)
    expect(waiting.rows).to.deep.equal([{ attempts: 3 }])
  })
})
