import { expect } from 'chai'
import { createTestStore, type TestStore } from '../test-store.ts'
import { verifiedPayments } from './verified.ts'

const OTHER_MERCHANT = '00000000-0000-7000-8000-000000000002'

describe('verify of changed columns', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore(2)
  })
  after(() => store.drop())

  const { change, verified, settled } = verifiedPayments(() => store)

  // Promise 106
  for (const [column, value, what = column] of [
    ['merchant_id', OTHER_MERCHANT, 'merchant'],
    ['reference', 'another'],
    ['amount_minor', '10051', 'amount'],
    ['currency', 'ETB'],
    ['failure_code', 'fraud'],
    ['created_at', '2020-01-01T00:00:00Z'],
    ['settled_at', '2020-01-01T00:00:00Z'],
    ['last_hash', Buffer.alloc(32)],
    ['last_hash', null],
  ] as const)
    it(`verify finds that a payment's ${column} was changed to ${value} by hand`, async () => {
      const paymentId = await settled('declined')
      await change(`update payments set ${column} = $1 where id = $2`, value, paymentId)
      expect((await verified({ paymentId })).what).to.deep.equal([what])
    })

  it("verify finds that a payment's status was changed by hand, with what it is expected to be", async () => {
    const paymentId = await settled()
    await change(`update payments set status = 'PENDING', settled_at = null where id = $1`, paymentId)
    const { findings } = await verified({ paymentId })
    expect(findings.map(({ what, expected, found }) => [what, expected, found])).to.deep.include.members([
      ['status', 'SUCCESS', 'PENDING'],
      ['redrive_at', 'a time at most a day ahead, because it is PENDING', 'none, or a later one'],
    ])
  })

  // Promise 106
  for (const [column, value] of [
    ['data', '{"reason": "another"}'],
    ['type', 'payment.failed'],
    ['actor', 'worker'],
    ['request_id', 'another'],
    ['created_at', '2020-01-01T00:00:00Z'],
    ['created_at', 'infinity'],
    ['merchant_id', OTHER_MERCHANT],
    ['hash', Buffer.alloc(32)],
    ['sequence', 7],
  ] as const)
    it(`verify finds that an event's ${column} was changed to ${value} by hand`, async () => {
      const paymentId = await settled()
      await change(`update payment_events set ${column} = $1 where payment_id = $2 and sequence = 2`, value, paymentId)
      const { what } = await verified({ paymentId })
      expect(what).to.include(column === 'sequence' ? 'hash of event 7' : 'hash of event 2')
      expect(what).to.not.include('hash of event 1')
    })

  it('verify finds the first event that was changed, and not the unchanged one behind it', async () => {
    const paymentId = await settled()
    await change(`update payment_events set actor = 'x' where payment_id = $1 and sequence = 1`, paymentId)
    expect((await verified({ paymentId })).what).to.deep.equal(['hash of event 1'])
  })
})
