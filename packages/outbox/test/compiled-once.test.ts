import { expect } from 'chai'
import { sql, type Transaction } from 'kysely'
import { compiledOnce, type OutboxTables, type ParameterOf } from '../src/index.ts'
import { createTestOutbox, type TestOutbox } from './test-outbox.ts'

describe('compiledOnce', () => {
  let outbox: TestOutbox
  before(async () => {
    outbox = await createTestOutbox()
  })
  after(() => outbox.drop())

  it('builds a statement once, and executes it with the values of each call', async () => {
    const built: string[] = []
    type Values = { first: number; second: number }
    const sum = compiledOnce((tx: Transaction<OutboxTables>, parameter: ParameterOf<Values>) => {
      const query = tx.selectNoFrom(sql<number>`${parameter('first')}::int - ${parameter('second')}::int`.as('result'))
      built.push(query.compile().sql)
      return query
    })
    const results = await outbox.db
      .transaction()
      .execute(async (tx) => [await sum(tx, { first: 7, second: 2 }), await sum(tx, { second: 7, first: 2 })])
    expect(results).to.deep.equal([[{ result: 5 }], [{ result: -5 }]])
    expect(built).to.have.length(1)
  })
})
