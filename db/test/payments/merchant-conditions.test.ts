import { aMessage } from '@cashflow/testing'
import { expect } from 'chai'
import { type KyselyPlugin, PostgresQueryCompiler } from 'kysely'
import { advancePayment, cancelPayment } from '../../src/index.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

/** The merchant's id, or the token of a claim that such a statement has stored. */
const OF_MERCHANT = /"merchant_id" = \$\d|"s"\."claim_token" = "s"\."token"/

const compiler = new PostgresQueryCompiler()

/** Keeps the texts of statements that read or change payments. */
function keeping(statements: string[]): KyselyPlugin {
  return {
    transformQuery({ node, queryId }) {
      const { sql } = compiler.compileQuery(node, queryId)
      if (/ "payments"/.test(sql)) statements.push(sql)
      return node
    },
    transformResult: ({ result }) => Promise.resolve(result),
  }
}

describe('statements on a payment of a merchant', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  // The first statement locks the payment if it is the merchant's. The others must not rely on that.
  it('statements of advance and cancel on payments name the merchant, each of them', async () => {
    const statements: string[] = []
    const db = store.db.withPlugin(keeping(statements))
    const { id, merchantId } = await store.insert()
    const message = aMessage({ key: id, topic: 'payment.retry' })
    expect((await advancePayment(db, { merchantId, id, message })).outcome).to.equal('advanced')
    expect((await cancelPayment(db, { merchantId, id, requestId: 'r-1' })).outcome).to.equal('canceled')
    const verbs = statements.map((text) => /^\w+/.exec(text)?.[0])
    expect(verbs).to.deep.equal(['select', 'update', 'select', 'select', 'update', 'with'])
    expect(statements.filter((text) => !OF_MERCHANT.test(text))).to.deep.equal([])
  })
})
