import { OPERATOR } from '@cashflow/testing'
import { expect } from 'chai'
import type { Head } from '../../src/operator.ts'
import { createTestStore, type TestStore } from '../test-store.ts'
import { eachOf, verifiedPayments } from './verified.ts'

describe('verify --against', () => {
  let store: TestStore
  beforeEach(async () => {
    store = await createTestStore(2)
  })
  afterEach(() => store.drop())

  const { change, verified, settled, heads, forceDelete, keepReference } = verifiedPayments(() => store)

  const against = async (exported: readonly Head[]) =>
    (await verified({ against: eachOf(exported) })).findings.map(({ paymentId, what, found }) => [
      paymentId,
      what,
      found !== null,
    ])

  it('verify finds nothing if payments were added, settled and pruned since', async () => {
    const { id: pending } = await store.insert()
    const pruned = await settled()
    const exported = await heads()
    await keepReference(pruned)
    await forceDelete(pruned)
    await settled()
    expect(exported.map(({ id, sequence }) => [id, sequence])).to.deep.equal([
      [pending, 1],
      [pruned, 2],
    ])
    expect(await against(exported)).to.deep.equal([])
  })

  it('verify counts the payments that it compared, and those that are newer than the export', async () => {
    await settled()
    const deleted = await settled()
    const exported = await heads()
    await forceDelete(deleted)
    await settled()
    await settled()
    const { counts } = await verified({ against: eachOf(exported) })
    expect(counts).to.include({ payments: 3, compared: 1, notInExport: 2, findings: 1 })
    expect(await verified()).to.not.have.nested.property('counts.compared')
  })

  // Promise 107
  it('verify finds deleted payments, a rewritten history, removed hashes and changed metadata, which the hashes alone do not tell', async () => {
    const [deleted, rewritten, unsealed, details] = [await settled(), await settled(), await settled(), await settled()]
    const exported = await heads()
    await forceDelete(deleted)
    await change(
      `update payment_events set data = data || '{"amount": "1.00"}', hash = null where payment_id = $1 and sequence = 1`,
      rewritten,
    )
    await change('update payment_events set hash = null where payment_id = any($1)', [rewritten, unsealed])
    await change('update payments set amount_minor = 100, last_hash = null where id = $1', rewritten)
    await verified({ sealsAs: OPERATOR })
    await change('update payment_events set hash = null where payment_id = $1', unsealed)
    await change('update payments set last_hash = null where id = $1', unsealed)
    await change(`update payments set metadata = '{"order": "2"}' where id = $1`, details)
    expect((await verified()).findings, 'without the export').to.deep.equal([])
    expect(await against(exported)).to.have.deep.members([
      [deleted, 'payment', false],
      [rewritten, 'history up to event 2, as exported', true],
      [unsealed, 'hash of event 2, as exported', false],
      [details, 'digest of metadata and idempotency key, as exported', true],
    ])
  })
})
