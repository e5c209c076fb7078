import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { redeliver, startReplay } from '../../src/index.ts'
import { replayPage } from '../../src/webhooks.ts'
import { createTestStore, type TestStore } from '../test-store.ts'
import { CREATED, createFaultRig, ENDED, EXPIRED, FAILED, type FaultRig, SUCCEEDED } from './fault-rig.ts'

const NORMAL = { status: 'pending', fault: null, attempts: 0, due_s: 0 }

describe('simulated faults of webhooks', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  async function redeliverBoth({ merchantId }: FaultRig, paymentId: string): Promise<void> {
    for (const sequence of [ENDED, CREATED]) await redeliver(store.db, { merchantId, paymentId, sequence })
  }

  async function replayAll({ merchantId, endpointId }: FaultRig): Promise<void> {
    const start = { from: 'time', time: new Date(0) } as const
    await startReplay(store.db, { merchantId, endpointId, id: randomUUID(), start })
    await replayPage(store.db, randomUUID(), { eventsMax: 10, unfinishedMax: 10, bodyOf: () => '{}' })
  }

  // Promise 130
  it('webhook_duplicate: each event is due once more after its first success, and the next event waits for the second one', async () => {
    const rig = await createFaultRig(store)
    await rig.pay('webhook_duplicate')
    expect(await rig.attempt()).to.deep.equal([CREATED])
    expect(await rig.statuses()).to.deep.equal(['pending', 'waiting'])
    expect(await rig.attempt()).to.deep.equal([CREATED])
    expect(await rig.attempt()).to.deep.equal([ENDED])
    expect(await rig.attempt()).to.deep.equal([ENDED])
    expect(await rig.attempt()).to.deep.equal([])
    expect(await rig.statuses()).to.deep.equal(['succeeded', 'succeeded'])
  })

  // Promise 130
  it('webhook_duplicate: the second request is owed also if processes die before they store an outcome', async () => {
    const rig = await createFaultRig(store)
    await rig.pay('webhook_duplicate', { isSettled: false })
    for (let died = 0; died < 2; died++) {
      expect(await rig.claim()).to.have.length(1)
      await rig.pass(30)
    }
    expect(await rig.attempt()).to.deep.equal([CREATED])
    const second = await rig.claim()
    expect(second).to.have.length(1)
    await rig.pass(30)
    expect(await rig.attempt()).to.deep.equal([CREATED])
    await rig.settle(second, SUCCEEDED) // Of a claim that has ended: it changes nothing.
    expect(await rig.statuses()).to.deep.equal(['succeeded'])
  })

  it('webhook_duplicate: a second request that fails is attempted by a schedule of its own', async () => {
    const rig = await createFaultRig(store)
    await rig.pay('webhook_duplicate', { isSettled: false })
    expect(await rig.attempt(FAILED)).to.deep.equal([CREATED])
    expect((await rig.rows())[0]?.attempts).to.equal(1)
    await rig.pass(5)
    expect(await rig.attempt()).to.deep.equal([CREATED])
    const again = await rig.claim()
    expect(again[0]).to.include({ attempts: 0, isEarly: false })
    await rig.settle(again, EXPIRED)
    expect(await rig.statuses()).to.deep.equal(['expired'])
  })

  // Promise 131
  it('webhook_late: each event is due 30 seconds after its fan-out, in order, and not earlier because its endpoint recovers', async () => {
    const rig = await createFaultRig(store)
    await rig.pay('webhook_late')
    await rig.recover()
    expect(await rig.attempt()).to.deep.equal([])
    expect((await rig.rows()).map(({ due_s }) => due_s)).to.deep.equal([30, 30])
    await rig.pass(29)
    expect(await rig.attempt()).to.deep.equal([])
    await rig.pass(1)
    expect(await rig.attempt()).to.deep.equal([CREATED])
    expect(await rig.attempt()).to.deep.equal([ENDED])
  })

  it('webhook_late: a late event that has failed is tried early when its endpoint recovers', async () => {
    const rig = await createFaultRig(store)
    await rig.pay('webhook_late', { isSettled: false })
    await rig.pass(30)
    expect(await rig.attempt(FAILED)).to.deep.equal([CREATED])
    await rig.recover()
    const [early] = await rig.claim()
    expect(early).to.include({ isEarly: true })
  })

  for (const simulate of ['webhook_duplicate', 'webhook_late', 'webhook_reorder'] as const)
    it(`${simulate}: a redelivery and a replay of what is finished are sent once, at once and in order`, async () => {
      for (const again of [redeliverBoth, replayAll]) {
        const rig = await createFaultRig(store)
        const paymentId = await rig.pay(simulate)
        await rig.pass(30)
        await rig.attemptAll()
        expect(await rig.statuses(), again.name).to.deep.equal(['succeeded', 'succeeded'])
        await again(rig, paymentId)
        expect(await rig.attemptAll(), again.name).to.deep.equal([[CREATED], [ENDED]])
      }
    })

  it('webhook_duplicate: what has expired is redelivered once', async () => {
    const rig = await createFaultRig(store)
    const paymentId = await rig.pay('webhook_duplicate', { isSettled: false })
    await rig.attempt(EXPIRED)
    await redeliver(store.db, { merchantId: rig.merchantId, paymentId, sequence: CREATED })
    expect(await rig.attempt()).to.deep.equal([CREATED])
    expect(await rig.attempt()).to.deep.equal([])
  })

  it('fan-out: outside of a sandbox simulate changes no delivery', async () => {
    for (const simulate of ['webhook_duplicate', 'webhook_late', 'webhook_reorder'] as const) {
      const rig = await createFaultRig(store)
      await rig.pay(simulate, { isSandbox: false })
      expect(await rig.rows(), simulate).to.deep.equal([
        { sequence: CREATED, ...NORMAL },
        { sequence: ENDED, ...NORMAL },
      ])
      expect(await rig.attempt(), simulate).to.deep.equal([CREATED])
      expect(await rig.attempt(), simulate).to.deep.equal([ENDED])
      expect(await rig.attempt(), simulate).to.deep.equal([])
    }
  })
})
