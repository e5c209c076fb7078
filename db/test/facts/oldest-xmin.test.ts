import { eventually, nullLogger, openClient } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { readOldestXmin } from '../../src/facts/oldest-xmin.ts'
import { createDatabase } from '../../src/index.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

describe('oldest snapshot', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  it('facts: show an old snapshot of another role in transactions, and in seconds only with pg_read_all_stats', async () => {
    const role = `ordinary_${store.database.name}`
    await sql.raw(`create role ${role} login password 'x'`).execute(store.db)
    const url = Object.assign(new URL(store.database.url), { username: role, password: 'x' }).href
    const db = createDatabase({ url, applicationName: 'test', poolMax: 1, logger: nullLogger })
    const holder = await openClient(store.database.url)
    await holder.query('begin isolation level repeatable read; select 1')
    await eventually(async () => {
      await sql`select pg_current_xact_id()`.execute(store.db)
      const { transactions, ageMs } = await readOldestXmin(store.db)
      expect(transactions).to.be.above(2)
      expect(ageMs).to.be.above(500)
    })
    const hidden = await readOldestXmin(db)
    expect(hidden.transactions).to.be.above(2)
    expect(hidden.ageMs).to.be.below(500)
    await sql.raw(`grant pg_read_all_stats to ${role}`).execute(store.db)
    expect((await readOldestXmin(db)).ageMs).to.be.above(500)
    await holder.end()
    await db.destroy()
    await sql.raw(`drop role ${role}`).execute(store.db)
  })
})
