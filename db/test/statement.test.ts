import { compiledOnce, type ParameterOf } from '@cashflow/outbox'
import { expect } from 'chai'
import { sql, type Transaction } from 'kysely'
import { onlyStatement } from '../src/index.ts'
import { isAmong } from '../src/statement.ts'
import type { Tables } from '../src/tables.ts'
import { createTestStore, type TestStore } from './test-store.ts'

describe('parts of statements', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  it('compiledOnce: commits a statement by itself only where its caller marks it as the only one', async () => {
    const sum = compiledOnce((tx: Transaction<Tables>, parameter: ParameterOf<{ first: number; second: number }>) =>
      tx.selectNoFrom(sql<number>`${parameter('first')}::int - ${parameter('second')}::int`.as('result')),
    )
    await store.db.transaction().execute((tx) => sum(onlyStatement(tx), { first: 1, second: 1 }))
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
