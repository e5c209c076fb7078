import { expect } from 'chai'
import { sql, type Transaction } from 'kysely'
import { lastStatement } from '../src/index.ts'
import { compiledOnce, isAmong, type ParameterOf } from '../src/statement.ts'
import type { Tables } from '../src/tables.ts'
import { createTestStore, type TestStore } from './test-store.ts'

describe('parts of statements', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  const createSum = () => {
    const built: string[] = []
    const sum = compiledOnce((tx: Transaction<Tables>, parameter: ParameterOf<{ first: number; second: number }>) => {
      const query = tx.selectNoFrom(sql<number>`${parameter('first')}::int - ${parameter('second')}::int`.as('result'))
      built.push(query.compile().sql)
      return query
    })
    return { built, sum }
  }

  it('compiledOnce: builds a statement once, and executes it with the values of each call', async () => {
    const { built, sum } = createSum()
    const results = await store.db
      .transaction()
      .execute(async (tx) => [await sum(tx, { first: 7, second: 2 }), await sum(tx, { second: 7, first: 2 })])
    expect(results).to.deep.equal([[{ result: 5 }], [{ result: -5 }]])
    expect(built).to.have.length(1)
  })

  it('compiledOnce: sends COMMIT with a statement only where its caller marks it as the last one', async () => {
    const { sum } = createSum()
    await store.db.transaction().execute((tx) => sum(lastStatement(tx), { first: 1, second: 1 }))
    const { id } = await store.insert()
    const failed = store.db.transaction().execute(async (tx) => {
      await tx.updateTable('payments').set({ attempts: 9 }).where('id', '=', id).execute()
      await sum(tx, { first: 1, second: 1 })
      throw new Error('after the statement')
    })
    expect(await failed.catch(({ message }) => message)).to.equal('after the statement')
    const row = await store.db.selectFrom('payments').select('attempts').where('id', '=', id).executeTakeFirst()
    expect(row).to.deep.equal({ attempts: 0 })
  })

  it('isAmong: is answered from a hash table, not by a join', async () => {
    const { db } = store
    const query = db
      .selectFrom('payment_events as e')
      .select('e.id')
      .where((eb) => isAmong(eb.ref('e.payment_id'), eb.selectFrom('payments').select('id')))
    const plan = await query.explain<Record<string, string>>()
    const lines = plan.map((line) => line['QUERY PLAN']).join('\n')
    expect(lines).to.include('hashed SubPlan').and.not.include('Join')
  })
})
