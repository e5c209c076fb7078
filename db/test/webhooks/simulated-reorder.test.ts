import { expect } from 'chai'
import { redeliver } from '../../src/index.ts'
import { createTestStore, type TestStore } from '../test-store.ts'
import { CREATED, createFaultRig, ENDED, EXPIRED, FAILED, SUCCEEDED } from './fault-rig.ts'

const HOUR_S = 3_600

describe('webhooks that are reordered by simulate', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  // Promise 132
  for (const ordering of ['payment', 'none'] as const)
    it(`webhook_reorder: with ordering "${ordering}" the first event is sent once the last one has succeeded`, async () => {
      const rig = await createFaultRig(store, { ordering })
      const id = await rig.pay('webhook_reorder', { isSettled: false })
      expect(await rig.attempt()).to.deep.equal([])
      await rig.end(id)
      await rig.fanOut()
      expect(await rig.attempt(FAILED)).to.deep.equal([ENDED])
      expect(await rig.attempt()).to.deep.equal([])
      await rig.pass(5)
      expect(await rig.attempt()).to.deep.equal([ENDED])
      expect(await rig.attempt()).to.deep.equal([CREATED])
      expect(await rig.statuses()).to.deep.equal(['succeeded', 'succeeded'])
    })

  // Promise 132
  it('webhook_reorder: the first event is sent once the last one has expired', async () => {
    const rig = await createFaultRig(store)
    await rig.pay('webhook_reorder')
    expect(await rig.attempt(EXPIRED)).to.deep.equal([ENDED])
    expect(await rig.attempt()).to.deep.equal([CREATED])
  })

  // Promise 132
  it('webhook_reorder: without a last event the first one is sent after an hour', async () => {
    const rig = await createFaultRig(store)
    await rig.pay('webhook_reorder', { isSettled: false })
    await rig.recover()
    await rig.pass(HOUR_S - 1)
    expect(await rig.attempt()).to.deep.equal([])
    await rig.pass(1)
    expect(await rig.attempt()).to.deep.equal([CREATED])
  })

  it('webhook_reorder: the end of the last event leaves the first one alone that was attempted after an hour', async () => {
    const rig = await createFaultRig(store)
    const id = await rig.pay('webhook_reorder', { isSettled: false })
    await rig.pass(HOUR_S)
    const underWay = await rig.claim()
    await rig.end(id)
    await rig.fanOut()
    expect(await rig.attempt()).to.deep.equal([ENDED])
    expect(await rig.claim()).to.deep.equal([])
    await rig.settle(underWay, FAILED)
    expect(await rig.claim()).to.deep.equal([])
    await rig.pass(5)
    expect(await rig.attempt()).to.deep.equal([CREATED])
  })

  it('webhook_reorder: an endpoint that wants no last event gets the first one at once', async () => {
    const rig = await createFaultRig(store, { types: ['payment.created', 'payment.reference_changed'] })
    await rig.pay('webhook_reorder')
    expect(await rig.attempt()).to.deep.equal([CREATED])
    expect(await rig.rows()).to.have.length(1)
  })

  it('webhook_reorder: an endpoint that wants one kind of last event gets the first one at once, as the other kind may come', async () => {
    for (const wanted of ['payment.succeeded', 'payment.failed']) {
      const rig = await createFaultRig(store, { types: ['payment.created', wanted] })
      await rig.pay('webhook_reorder')
      expect(await rig.attempt(), wanted).to.include(CREATED)
    }
    const rig = await createFaultRig(store, { types: ['payment.failed', 'payment.created', 'payment.succeeded'] })
    await rig.pay('webhook_reorder')
    expect(await rig.attempt()).to.deep.equal([ENDED])
  })

  it('webhook_reorder: a redelivery sends a held event at once, and one of the last event waits for none', async () => {
    const rig = await createFaultRig(store)
    const paymentId = await rig.pay('webhook_reorder')
    expect(await rig.attempt(FAILED)).to.deep.equal([ENDED])
    await redeliver(store.db, { merchantId: rig.merchantId, paymentId, sequence: ENDED })
    const again = await rig.claim()
    expect(again.map(({ sequence }) => sequence)).to.deep.equal([ENDED])
    await redeliver(store.db, { merchantId: rig.merchantId, paymentId, sequence: CREATED })
    expect(await rig.attempt()).to.deep.equal([CREATED])
    await rig.settle(again, SUCCEEDED)
    expect(await rig.statuses()).to.deep.equal(['succeeded', 'succeeded'])
  })
})
