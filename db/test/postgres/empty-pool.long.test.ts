import { expect } from 'chai'
import { sql } from 'kysely'
import { isTransient } from '../../src/index.ts'
import { createTestStore } from '../test-store.ts'

describe('an empty pool', () => {
  it('ends a wait for a session with a transient error', async () => {
    const store = await createTestStore(3)
    const held = await Promise.all([1, 2, 3].map(() => store.db.startTransaction().execute()))
    const error = await sql`select 1`.execute(store.db).then(
      () => undefined,
      (thrown: Error) => thrown,
    )
    expect(isTransient(error), error?.message).to.equal(true)
    await Promise.all(held.map((tx) => tx.rollback().execute()))
    await store.drop()
  })
})
