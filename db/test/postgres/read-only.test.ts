import {
  createTestDatabase,
  eventually,
  nullLogger,
  openClient,
  type PrivatePostgres,
  startPrivatePostgres,
} from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import type pg from 'pg'
import { createDatabase, isAway, isTransient, type Tables } from '../../src/index.ts'
import { ReadOnlyError } from '../../src/postgres/errors.ts'

const open = (url: string) => createDatabase({ url, applicationName: 'reader', poolMax: 1, logger: nullLogger })
const reasonOf = (work: Promise<unknown>) => work.then(() => undefined).catch((error: unknown) => error)
const processId = async (db: Kysely<Tables>) =>
  (await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db)).rows[0]?.pid

describe('session whose server turns read-only', () => {
  // Promise 25
  it('db: closes a session whose write was refused as read-only (25006), and opens another one', async () => {
    const database = await createTestDatabase()
    const db = open(database.url)
    const before = await processId(db)
    const write = sql`insert into outbox_lanes values (99)`
    const refused = await reasonOf(
      db
        .transaction()
        .setAccessMode('read only')
        .execute((tx) => write.execute(tx)),
    )
    expect(refused).to.be.an('error').with.property('code', '25006')
    expect(isTransient(refused)).to.equal(true)
    expect(isAway(refused)).to.equal(true)
    expect(await processId(db))
      .to.be.a('number')
      .that.does.not.equal(before)
    await db.destroy()
    await database.drop()
  })

  describe('all sessions of a server that turns read-only', () => {
    let server: PrivatePostgres
    let admin: pg.Client
    let db: Kysely<Tables>
    before(async () => {
      server = await startPrivatePostgres()
      admin = await openClient(server.url)
      db = open(server.url)
    }).timeout(180_000)
    after(async () => {
      await db.destroy()
      await admin.end()
      await server.stop()
    })

    async function setReadOnly(value: 'on' | 'off'): Promise<void> {
      await admin.query(`alter system set default_transaction_read_only = ${value}`)
      await admin.query('select pg_reload_conf()')
      await eventually(async () =>
        expect((await admin.query('show default_transaction_read_only')).rows).to.deep.equal([
          { default_transaction_read_only: value },
        ]),
      )
    }
    const sessions = async () =>
      (await admin.query("select pid from pg_stat_activity where application_name = 'reader'")).rows

    // Promise 6
    it('db: reads nothing from a server that was set to default_transaction_read_only, and keeps no session with it', async () => {
      await sql`select 1`.execute(db)
      await setReadOnly('on')
      for (let attempt = 0; attempt < 3; attempt++) {
        const refused = await reasonOf(sql`select 1`.execute(db))
        expect(refused).to.be.instanceOf(ReadOnlyError).with.property('message').that.includes('read_only')
        expect(isTransient(refused)).to.equal(true)
        expect(isAway(refused)).to.equal(true)
      }
      await eventually(async () => expect(await sessions()).to.deep.equal([]))
      await setReadOnly('off')
      expect((await sql`select 1 as one`.execute(db)).rows).to.deep.equal([{ one: 1 }])
    }).timeout(180_000)

    // Promise 6
    it('db: reports no COMMIT as successful that a server answered while it turned read-only', async () => {
      const turning = db.transaction().execute(async (tx) => {
        await sql`insert into outbox_lanes values (31) on conflict do nothing`.execute(tx)
        await setReadOnly('on')
      })
      expect(await reasonOf(turning)).to.be.instanceOf(ReadOnlyError)
      await setReadOnly('off')
      await sql`select 1`.execute(db)
    }).timeout(180_000)
  })
})
