import { createDatabase, insertPayments, type Tables } from '@cashflow/db'
import { buryMessage } from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'
import {
  aPayment,
  createTestDatabase,
  createUnreadableRows,
  nullLogger,
  openClient,
  query,
  type TestDatabase,
} from '@cashflow/testing'
import { expect } from 'chai'
import type { Kysely } from 'kysely'
import { runCashflow } from './run-cashflow.ts'

const TABLES =
  'payments, payment_events, dead_letters, merchants, api_keys, pauses, operator_actions, webhook_endpoints, webhook_deliveries, webhook_cursors'
const KEY_ID = '0aB3dE5fG7hI9'
const LOCKED = /^Another session has locked it, such as that of a worker or of another operator\. Try again\.\n$/

describe('cashflow: commands that PostgreSQL cannot do now', function () {
  // Each command starts a process.
  this.timeout(180_000)
  let database: TestDatabase
  let db: Kysely<Tables>
  let payments: string[]
  before(async () => {
    database = await createTestDatabase()
    db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 2, logger: nullLogger })
    const inserts = Array.from({ length: 3 }, () => ({ ...aPayment(), requestId: 'r-1', messages: [] }))
    payments = inserts.map(({ payment }) => payment.id)
    await db.transaction().execute(async (tx) => {
      await insertPayments(tx, inserts, { redriveAfterMs: 60_000 })
      const letter = { messageId: uuidv7(), key: 'k', topic: 't', payload: {}, attempts: 1, source: 'outbox' }
      await buryMessage(tx, { ...letter, reason: 'r' })
    })
  })
  after(async () => {
    await db.destroy()
    await database.drop()
  })

  const run = (args: readonly string[], url = database.url) =>
    runCashflow(args, { DATABASE_URL: url, KEY_PEPPER: 'p'.repeat(32), SECRETS_KEY: 's'.repeat(32) })

  it('cashflow: each command ends with one line and 1 while another session has locked the tables', async () => {
    const [id = ''] = payments
    const commands = [
      ['payments', 'settle', id, '--success', '--reason', 'r'],
      ['redrive', id],
      ['dead', 'requeue', '1'],
      ['dead', 'discard', '1', '--reason', 'r'],
      ['merchants', 'create', 'Acme'],
      ['keys', 'create', '--merchant', id],
      ['keys', 'revoke', KEY_ID],
      ['keys', 'rotate', KEY_ID],
      ['pause', 'worker', '--reason', 'r'],
      ['resume', 'worker'],
      ['webhooks', 'list'],
      ['webhooks', 'show', id],
      ['webhooks', 'deliveries'],
      ['webhooks', 'enable', id, '--reason', 'r'],
      ['webhooks', 'disable', id, '--reason', 'r'],
      ['webhooks', 'redeliver', `evt_${id}_1`, '--reason', 'r'],
      ['webhooks', 'replay', id, '--after', '2026-01-01', '--reason', 'r'],
      ['webhooks', 'rekey'],
      ['payments', 'list'],
      ['events'],
      ['audit', 'list'],
      ['console', 'token', '--name', 'ann', '--role', 'read'],
    ]
    const other = await openClient(database.url)
    await other.query(`begin; lock table ${TABLES} in access exclusive mode`)
    try {
      while (commands.length > 0)
        await Promise.all(
          commands.splice(0, 4).map(async (args) => {
            const { code, stdout, stderr } = await run(args)
            expect([code, stdout], args.join(' ')).to.deep.equal([1, ''])
            expect(stderr, args.join(' ')).to.match(LOCKED)
          }),
        )
      const many = await run(['redrive', '--pending-over', '0s'])
      expect(many.code).to.equal(1)
      expect(many.stderr).to.match(LOCKED)
    } finally {
      await other.end()
    }
  })

  it('cashflow: an act whose statement takes too long is refused', async () => {
    await query(
      database.url,
      `create function sleeps() returns trigger language plpgsql as $$ begin perform pg_sleep(30); return new; end $$;
       create trigger sleeps before insert on merchants for each row execute function sleeps()`,
    )
    expect(await run(['merchants', 'create', 'Slow'])).to.deep.include({
      ...{ code: 1, stdout: '' },
      stderr: 'PostgreSQL took too long: canceling statement due to statement timeout. Try again.\n',
    })
  })

  it('cashflow: lists leave out and name a payment that PostgreSQL cannot read, and exit with 1', async () => {
    const [lost = '', ...others] = payments
    const unreadable = await createUnreadableRows(database.url, { table: 'payments', condition: `id = '${lost}'` })
    const listed = await run(['payments', 'list', '--json'], unreadable.url)
    const settled = await run(['payments', 'settle', lost, '--success', '--reason', 'r'], unreadable.url)
    const shown = await run(['payments', 'show', lost], unreadable.url)
    await unreadable.drop()
    expect(listed.code).to.equal(1)
    const ids = listed.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).id)
    expect(ids).to.have.members(others)
    expect(listed.stderr).to.equal(
      `PostgreSQL cannot read payment ${lost}: XX001 invalid page in block 0\n` +
        'The list is incomplete. docs/operations.md says what to do about a damaged page.\n',
    )
    expect([settled.code, settled.stdout]).to.deep.equal([1, ''])
    expect(settled.stderr).to.match(
      new RegExp(`^PostgreSQL cannot read or write payment ${lost}, .*: XX001 invalid page`),
    )
    expect([shown.code, shown.stderr]).to.deep.equal([
      3,
      'PostgreSQL cannot read or write a row: XX001 invalid page in block 0. docs/operations.md says what to do about a damaged page.\n',
    ])
  })
})
