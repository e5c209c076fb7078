import { expect } from 'chai'
import { sql } from 'kysely'
import { isTransient } from '../../src/index.ts'
import { createTestStore } from '../test-store.ts'

describe('pool without a free session', () => {
  it('db: rejects a caller with a transient error when no session gets free in time', async () => {
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
