import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import type { ProviderAnswer } from '../src/provider/provider.ts'
import { createTestHandler, createTestWorker, delivery, type TestWorker } from './test-worker.ts'

const APPROVED: ProviderAnswer = { outcome: 'approved' }
const UNKNOWN: ProviderAnswer = { outcome: 'unknown', reason: 'HTTP 503' }

describe('handler of several deliveries of one payment at the same time', () => {
  let payments: TestWorker
  let charges: PromiseWithResolvers<ProviderAnswer>[]
  let handle: ReturnType<typeof createTestHandler>['handle']
  let id: string

  before(async () => {
    payments = await createTestWorker(10)
  })
  after(() => payments.drop())
  beforeEach(async () => {
    payments.lines.length = 0
    charges = []
    const provider = {
      charge() {
        const charge = Promise.withResolvers<ProviderAnswer>()
        charges.push(charge)
        return charge.promise
      },
    }
    ;({ handle } = createTestHandler(payments, provider, { chargesMax: 1, random: () => 1 }))
    id = await payments.pending()
  })

  const handleMany = (count: number) => Array.from({ length: count }, () => handle(delivery(id)))
  const charged = (times: number) => eventually(() => expect(charges).to.have.length(times))
  const scheduled = () => payments.db.selectFrom('outbox_scheduled').select('id').where('key', '=', id).execute()

  // Promise 15
  it('claims and charges once, and acknowledges all deliveries', async () => {
    const handled = handleMany(20)
    await charged(1)
    handled.push(...handleMany(5))
    charges[0]?.resolve(APPROVED)
    expect(await Promise.all(handled)).to.deep.equal(Array.from({ length: 25 }, () => 'ack'))
    expect(charges).to.have.length(1)
    expect(payments.logged(), 'the others were not processed').to.deep.equal(['payment settled'])
    expect(await payments.row(id)).to.include({ status: 'SUCCESS', attempts: 0 })
  })

  it('processes each delivery when the payment is retried later, because one of them may be that retry', async () => {
    const handled = handleMany(3)
    await charged(1)
    charges[0]?.resolve(UNKNOWN)
    expect(await Promise.all(handled)).to.deep.equal(['ack', 'ack', 'ack'])
    expect(payments.logged()).to.deep.equal([
      'provider gave no answer, the payment is tried again',
      'payment is leased, its message is rescheduled',
      'payment is leased, its message is rescheduled',
    ])
    expect(await scheduled(), 'one for the retry, one for each of the other deliveries').to.have.length(3)
  })

  it('continues with the next delivery when the channel of the first one is gone', async () => {
    const before = handle(delivery(await payments.pending()))
    await charged(1)
    const channel = new AbortController()
    const first = handle(delivery(id, { signal: channel.signal }))
    const second = handle(delivery(id))
    channel.abort(new Error('the channel is gone'))
    expect(await first, 'nothing was claimed').to.equal('leave')
    charges[0]?.resolve(APPROVED)
    await charged(2)
    charges[1]?.resolve(APPROVED)
    expect(await Promise.all([before, second])).to.deep.equal(['ack', 'ack'])
  })

  it('leaves a delivery that waits for another one when its channel is gone', async () => {
    const [first] = handleMany(1)
    await charged(1)
    const channel = new AbortController()
    const second = handle(delivery(id, { signal: channel.signal }))
    channel.abort(new Error('the channel is gone'))
    expect(await second).to.equal('leave')
    expect(await handle(delivery(id, { signal: channel.signal }))).to.equal('leave')
    charges[0]?.resolve(APPROVED)
    expect(await first).to.equal('ack')
  })
})
