import { findEventDeliveries } from '@cashflow/db'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { type Receiver, startReceiver, verifyWith } from './receiver.ts'
import { created, type Rig, startRig, succeeded, type TestEndpoint } from './rig.ts'
import { claimAndDie, endLeases, expectNoneLeftBehind, pass } from './time.ts'

const LATE_MS = 30_000
const HOUR_MS = 3_600_000
const SIMULATIONS = ['webhook_duplicate', 'webhook_late', 'webhook_reorder'] as const

describe('simulated faults of webhooks', () => {
  let rig: Rig
  let receiver: Receiver
  let endpoint: TestEndpoint

  beforeEach(async () => {
    rig = await startRig()
    receiver = await startReceiver()
    endpoint = await rig.endpoint(receiver.url)
  })

  afterEach(async () => {
    await expectNoneLeftBehind(rig.database.url)
    await rig.stop()
    await receiver.stop()
  })

  async function settle(payment: string): Promise<void> {
    await rig.settle(payment)
    rig.wake()
  }
  const fannedOut = (deliveries: number) =>
    eventually(async () => {
      rig.wake()
      expect(await rig.deliveries()).to.have.lengthOf(deliveries)
    })
  const received = (...ids: string[]) => eventually(() => expect(receiver.ids()).to.deep.equal(ids))

  // Promise 130
  it('webhook_duplicate: each event comes twice under one id, each time with a signature, and a payment without it comes once', async () => {
    await rig.start({ isSandbox: true })
    const payment = await rig.simulate('webhook_duplicate')
    await settle(payment)
    await received(created(payment), created(payment), succeeded(payment), succeeded(payment))
    await rig.delivered()
    for (const request of receiver.received) verifyWith(endpoint.secret, request)
    expect(new Set(receiver.received.map(({ body }) => body)).size).to.equal(2)
    const shown = await findEventDeliveries(rig.db, {
      merchantId: DEFAULT_MERCHANT_ID,
      paymentId: payment,
      sequence: 1,
    })
    expect(shown?.map(({ status, attemptsMade }) => [status, attemptsMade.length])).to.deep.equal([['succeeded', 2]])
    const other = await rig.pay()
    await fannedOut(3)
    await rig.delivered()
    expect(receiver.ids().slice(4)).to.deep.equal([created(other)])
  })

  // Promise 130
  it('webhook_duplicate: an event comes twice after a process died that had claimed it', async () => {
    const distributor = await rig.start({ isSandbox: true, attemptsMax: 0 })
    const payment = await rig.simulate('webhook_duplicate')
    await fannedOut(1)
    await distributor.stop()
    await endLeases(rig.database.url, await claimAndDie(rig.db))
    for (const _ of [1, 2]) await rig.start({ isSandbox: true })
    await received(created(payment), created(payment))
    await rig.delivered()
  })

  // Promise 131
  it('webhook_late: the events of a payment come 30 seconds later, in order, and those of others at once', async () => {
    await rig.start({ isSandbox: true })
    const late = await rig.simulate('webhook_late')
    await settle(late)
    await fannedOut(2)
    const other = await rig.pay()
    rig.wake()
    await received(created(other))
    await pass(rig.database.url, LATE_MS)
    await received(created(other), created(late), succeeded(late))
  })

  // Promise 132
  it('webhook_reorder: the event of the outcome comes first, also if its endpoint refuses it at first', async () => {
    receiver.answerWith(({ data }) => (data.sequence === 2 && receiver.received.length === 1 ? 400 : 204))
    await rig.start({ isSandbox: true })
    const payment = await rig.simulate('webhook_reorder')
    await fannedOut(1)
    await settle(payment)
    await received(succeeded(payment))
    await eventually(async () => expect((await rig.deliveries())[1]).to.include({ attempts: 1, claim_token: null }))
    await pass(rig.database.url, 10_000)
    await received(succeeded(payment), succeeded(payment), created(payment))
    await rig.delivered()
  })

  // Promise 132
  it('webhook_reorder: without an outcome the payment is announced after an hour', async () => {
    await rig.start({ isSandbox: true })
    const payment = await rig.simulate('webhook_reorder')
    await fannedOut(1)
    await pass(rig.database.url, HOUR_MS)
    await received(created(payment))
  })

  // Promises 130, 131, 132
  it('webhooks: outside of a sandbox metadata.simulate changes nothing', async () => {
    await rig.start({ isSandbox: false })
    for (const simulation of SIMULATIONS) {
      receiver.received.length = 0
      const payment = await rig.simulate(simulation)
      await settle(payment)
      await received(created(payment), succeeded(payment))
      await rig.delivered()
      expect(receiver.ids(), simulation).to.deep.equal([created(payment), succeeded(payment)])
    }
  })
})
