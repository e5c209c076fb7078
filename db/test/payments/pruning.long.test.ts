import { query } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createTestStore, type TestStore } from '../test-store.ts'

const codeOf = ({ code }: { code?: string }) => code

describe('deleting a pruned payment', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  // Promise 50
  it('fails after 10 seconds while a transaction reads pruned_references, and succeeds after its end', async () => {
    const { id } = await store.insert()
    await sql`update payments set status = 'SUCCESS', settled_at = now(), redrive_at = null`.execute(store.db)
    await sql`
      insert into pruned_references (merchant_id, reference, id, amount_minor, currency)
      select merchant_id, reference, id, amount_minor, currency from payments`.execute(store.db)
    const remove = () =>
      query(store.database.url, 'delete from payments where id = $1 returning 1 as gone', { values: [id] })
    const dump = await store.db.startTransaction().execute()
    const pacemaker = setInterval(() => void sql`select 1`.execute(dump), 1_000)
    try {
      await sql`select 1 from pruned_references`.execute(dump)
      expect(await remove().catch(codeOf)).to.equal('55P03')
    } finally {
      clearInterval(pacemaker)
      await dump.rollback().execute()
    }
    expect(await remove()).to.eql([{ gone: 1 }])
  })
})
