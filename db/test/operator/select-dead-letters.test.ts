import { randomUUID } from 'node:crypto'
import { buryMessage } from '@cashflow/outbox'
import { OPERATOR } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { discard, selectDeadLetters } from '../../src/operator.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

describe('selectDeadLetters', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore(4)
  })
  after(() => store.drop())

  const select = async (more: Partial<Parameters<typeof selectDeadLetters>[1]>) => {
    const { ids, ...selection } = await selectDeadLetters(store.db, { topic: 'selected', limit: 10, ...more })
    return { ...selection, ids: [...ids] }
  }
  const buried = async (source: string, reason: string) => {
    const key = randomUUID()
    const letter = { messageId: key, key, topic: 'selected', payload: {}, source, reason, attempts: 1 }
    await store.db.transaction().execute((tx) => buryMessage(tx, letter))
    const stored = store.db.selectFrom('dead_letters').select('id').where('key', '=', key)
    return (await stored.executeTakeFirstOrThrow()).id
  }

  // Promise 115
  it('selects unresolved dead letters by source, topic, reason and age, with a hash of exactly these', async () => {
    const [first, second, third] = [
      await buried('queue', '100 % a_b'),
      await buried('worker', '100 x'),
      await buried('queue', 'x'),
    ]
    await sql`update dead_letters set died_at = now() - interval '2 hours' where id = ${second}`.execute(store.db)
    const all = await select({})
    expect(all).to.deep.include({ ids: [first, second, third], hasMore: false })
    expect(all.hash).to.match(/^[0-9a-f]{16}$/)
    expect(await select({})).to.deep.equal(all)
    expect((await select({ source: 'queue' })).ids).to.deep.equal([first, third])
    expect((await select({ topic: 'another' })).ids).to.not.include(first)
    expect((await select({ reason: '% a_b' })).ids, 'no pattern').to.deep.equal([first])
    expect((await select({ reason: '100' })).ids).to.deep.equal([first, second])
    expect((await select({ ageMinMs: 3_600_000 })).ids).to.deep.equal([second])
    expect((await select({ source: 'queue', reason: 'x' })).ids).to.deep.equal([third])
    const two = await select({ limit: 2 })
    expect(two).to.deep.include({ ids: [first, second], hasMore: true })
    await discard(store.db, first, { by: OPERATOR, reason: 'x' })
    const other = await select({ limit: 2 })
    expect(other.ids, 'as many as before').to.have.length(2)
    expect(other.hash).to.not.equal(two.hash)
  })
})
