import { expect } from 'chai'
import { sql } from 'kysely'
import pg from 'pg'
import { createTestStore, type TestStore } from './test-store.ts'

const codeOf = ({ code }: { code?: string }) => code

describe('deleting a pruned payment', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  it('fails after 10 seconds while a transaction reads pruned_references, and succeeds after that', async () => {
    const { id } = await store.insert()
    await sql`update payments set status = 'SUCCESS', settled_at = now(), redrive_at = null`.execute(store.db)
    await sql`
      insert into pruned_references (merchant_id, reference, id, amount_minor, currency)
      select merchant_id, reference, id, amount_minor, currency from payments`.execute(store.db)
    const remove = async () => {
      const client = new pg.Client({ connectionString: store.database.url })
      client.on('error', () => {})
      await client.connect()
      const removal = client.query('delete from payments where id = $1', [id])
      return await removal.then(({ rowCount }) => rowCount, codeOf).finally(() => client.end())
    }
    const dump = await store.db.startTransaction().execute()
    const pacemaker = setInterval(() => void sql`select 1`.execute(dump), 1_000)
    try {
      await sql`select 1 from pruned_references`.execute(dump)
      expect(await remove()).to.equal('55P03')
    } finally {
      clearInterval(pacemaker)
      await dump.rollback().execute()
    }
    expect(await remove()).to.equal(1)
  })
})
