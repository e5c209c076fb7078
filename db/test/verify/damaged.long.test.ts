import { type PrivatePostgres, startPrivatePostgres } from '@cashflow/testing'
import { expect } from 'chai'
import { createTestStore, type TestStore } from '../test-store.ts'
import { eachOf, verifiedPayments } from './verified.ts'

describe('verify on damaged pages', function () {
  this.timeout(180_000)
  let server: PrivatePostgres
  let store: TestStore
  before(async () => {
    server = await startPrivatePostgres()
    store = await createTestStore(2, { url: server.url, name: 'payments', drop: () => server.stop() })
  })
  after(() => store.drop())

  const { change, verified, heads } = verifiedPayments(() => store)

  for (const table of ['payments', 'payment_events'])
    it(`verify names each payment on a damaged page of ${table}, and verifies all others`, async () => {
      for (let count = 0; count < 120; count += 1) await store.insert()
      const payment = table === 'payments' ? 'id' : 'payment_id'
      const { rows } = await change(`select ${payment}::text as id from ${table} where (ctid::text::point)[0] = 1`)
      const lost = (rows as { id: string }[]).map(({ id }) => id).toSorted()
      const exported = await heads()
      const repair = await server.damage(table, [1])
      const { findings, counts } = await verified({ against: eachOf(exported) })
      expect(lost).to.have.length.above(10)
      expect(findings.map(({ paymentId }) => paymentId)).to.deep.equal(lost)
      for (const { what, found } of findings) {
        expect(what).to.equal('row or events')
        expect(found).to.match(/^XX001 .*block 1/)
      }
      expect(counts.payments).to.equal(exported.length - lost.length)
      await repair()
      expect((await verified({ against: eachOf(exported) })).findings).to.deep.equal([])
    })
})
