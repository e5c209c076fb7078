import { expect } from 'chai'
import { sql } from 'kysely'
import { mayCrash } from '../../src/worker.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

describe('mayCrash', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  const crashedBefore = (seconds: number) =>
    sql`update simulated_crashes set crashed_at = now() - ${seconds} * interval '1 second'`.execute(store.db)

  it('allows one crash of workers that ask at the same time, and no other within a minute', async () => {
    const asked = await Promise.all(Array.from({ length: 10 }, () => mayCrash(store.db)))
    expect(asked.filter((may) => may)).to.have.length(1)
    await crashedBefore(55)
    expect(await mayCrash(store.db)).to.equal(false)
    await crashedBefore(61)
    expect(await mayCrash(store.db)).to.equal(true)
    expect(await mayCrash(store.db)).to.equal(false)
  })
})
