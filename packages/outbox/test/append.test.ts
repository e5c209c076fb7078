import { aMessage } from '@cashflow/testing'
import { expect } from 'chai'
import { sql, type Transaction } from 'kysely'
import {
  appendMessages,
  appendStep,
  messagesJson,
  type NewMessage,
  type OutboxTables,
  PAYLOAD_BYTES_MAX,
  PayloadTooLargeError,
  scheduleMessages,
} from '../src/index.ts'
import { laneOf } from '../src/message.ts'
import { createTestOutbox, type TestOutbox } from './test-outbox.ts'

const message = (key: string, extra = {}) => aMessage({ key, payload: { key }, ...extra })

describe('append to the outbox', () => {
  let outbox: TestOutbox
  before(async () => {
    outbox = await createTestOutbox()
  })
  after(() => outbox.drop())

  // Promise 4
  it('leaves no message when its transaction rolls back', async () => {
    const tx = await outbox.db.startTransaction().execute()
    await appendMessages(tx, [message('rolled-back')])
    await tx.rollback().execute()
    expect(await outbox.backlog()).to.equal(0)
  })

  it('stores every field of a message, in the lane of its key', async () => {
    const first = message('stored', { headers: { 'x-request-id': 'r-1' }, mandatory: false })
    const second = message('stored')
    await outbox.db.transaction().execute((tx) => appendMessages(tx, [first, second]))
    const rows = await outbox.db
      .selectFrom('outbox_messages')
      .selectAll()
      .where('key', '=', 'stored')
      .orderBy('id')
      .execute()
    expect(rows.map((row) => row.message_id)).to.deep.equal([first.messageId, second.messageId])
    expect(rows[0]).to.deep.include({
      lane: laneOf('stored'),
      topic: 'thing.happened',
      payload: { key: 'stored' },
      headers: { 'x-request-id': 'r-1' },
      mandatory: false,
      attempts: 0,
    })
    expect(rows[1]).to.deep.include({ headers: {}, mandatory: true })
  })

  it('appends, as a step of a larger statement, the messages that its condition holds for', async () => {
    const [wanted, other] = [message('wanted'), message('other')]
    await outbox.db.transaction().execute(async (tx) => {
      // As messages, and as a parameter.
      for (const given of [[wanted, other], sql.val(messagesJson([wanted, other]))])
        await tx
          .with('appended', () => appendStep(tx, given, (eb) => eb('key', '=', 'wanted')))
          .selectNoFrom(sql`1`.as('one'))
          .execute()
    })
    const rows = await outbox.db
      .selectFrom('outbox_messages')
      .select('message_id')
      .where('key', 'in', ['wanted', 'other'])
      .execute()
    expect(rows).to.deep.equal([{ message_id: wanted.messageId }, { message_id: wanted.messageId }])
  })

  const appendInStep = (tx: Transaction<OutboxTables>, messages: readonly NewMessage[]) =>
    tx
      .with('appended', () => appendStep(tx, messages, (eb) => eb.lit(true)))
      .selectNoFrom(sql`1`.as('one'))
      .execute()
  for (const { name, append, lastId } of [
    { name: 'appendMessages', append: appendMessages, lastId: 1_000 },
    { name: 'appendStep', append: appendInStep, lastId: 2_000 },
  ])
    it(`${name}: assigns the xid of its transaction before it takes an id`, async () => {
      const tx = await outbox.db.startTransaction().execute()
      // The sequence ends, so nextval fails. The transaction then shows whether it had an xid before that.
      await sql`alter table outbox_messages alter id set maxvalue ${sql.lit(lastId)} restart with ${sql.lit(lastId)}`.execute(
        outbox.db,
      )
      await outbox.db.transaction().execute((other) => appendMessages(other, [message('the last id')]))
      await sql`savepoint before`.execute(tx)
      const failed = await append(tx, [message('no id left')]).then(
        () => undefined,
        (error: Error) => error,
      )
      await sql`rollback to before`.execute(tx)
      const { rows } = await sql<{ xid: string | null }>`
        select pg_current_xact_id_if_assigned()::text as xid`.execute(tx)
      await tx.rollback().execute()
      await sql`alter table outbox_messages alter id set no maxvalue`.execute(outbox.db)
      expect(failed?.message).to.match(/reached maximum value/)
      expect(rows[0]?.xid).to.be.a('string')
    })

  it('stores any JSON value as a payload', async () => {
    const payloads = [null, 0, '', 'text', [], {}, [null], { a: { b: '\u2028"' } }]
    await outbox.db.transaction().execute((tx) =>
      appendMessages(
        tx,
        payloads.map((payload) => message('payloads', { payload })),
      ),
    )
    const rows = await outbox.db
      .selectFrom('outbox_messages')
      .select('payload')
      .where('key', '=', 'payloads')
      .orderBy('id')
      .execute()
    expect(rows.map(({ payload }) => payload)).to.deep.equal(payloads)
  })

  it('refuses a payload that is too large, before it writes any message', async () => {
    const fits = message('size', { payload: 'x'.repeat(PAYLOAD_BYTES_MAX - 2) })
    const large = message('size', { payload: 'é'.repeat(PAYLOAD_BYTES_MAX / 2) })
    const tx = await outbox.db.startTransaction().execute()
    for (const store of [
      appendMessages,
      (...args: [typeof tx, [typeof fits, typeof large]]) => scheduleMessages(...args, 0),
    ]) {
      const failed = await store(tx, [fits, large]).catch((error: unknown) => error)
      expect(failed).to.be.instanceOf(PayloadTooLargeError)
      expect(failed).to.include({ code: 'payload_too_large', bytes: PAYLOAD_BYTES_MAX + 2 })
    }
    await appendMessages(tx, [fits])
    const rows = await tx.selectFrom('outbox_messages').select('message_id').where('key', '=', 'size').execute()
    await tx.rollback().execute()
    expect(rows).to.deep.equal([{ message_id: fits.messageId }])
  })

  it('spreads 1,000 keys over all lanes', () => {
    const lanes = new Set(Array.from({ length: 1_000 }, (_, index) => laneOf(`key ${index}`)))
    expect([...lanes].sort((a, b) => a - b)).to.deep.equal(Array.from({ length: 32 }, (_, lane) => lane))
  })
})
