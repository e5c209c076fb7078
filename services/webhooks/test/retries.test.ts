import { randomUUID } from 'node:crypto'
import { defined } from '@cashflow/async'
import { findEndpoint, startReplay, updateEndpoint } from '@cashflow/db'
import { query } from '@cashflow/dev-stack'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { type Receiver, startReceiver } from './receiver.ts'
import { created, type Rig, startRig, succeeded } from './rig.ts'
import { expectNoneLeftBehind, pass } from './time.ts'

const HOUR_MS = 3_600_000
const LONG_MS = 30 * HOUR_MS

describe('retries of webhooks', () => {
  let rig: Rig
  let receiver: Receiver
  let endpointId: string

  beforeEach(async () => {
    rig = await startRig()
    receiver = await startReceiver()
    endpointId = (await rig.endpoint(receiver.url)).id
  })

  afterEach(async () => {
    await expectNoneLeftBehind(rig.database.url)
    await rig.stop()
    await receiver.stop()
  })

  const queue = async () =>
    defined(
      await rig.db.selectFrom('webhook_queues').selectAll().where('endpoint_id', '=', endpointId).executeTakeFirst(),
      'queue',
    )
  const endpoint = async () =>
    defined(await findEndpoint(rig.db, { merchantId: DEFAULT_MERCHANT_ID, id: endpointId }), 'endpoint')
  const enable = () => updateEndpoint(rig.db, { merchantId: DEFAULT_MERCHANT_ID, id: endpointId, isEnabled: true })
  /** Resolves once this many attempts are stored. */
  const attempted = (count: number) =>
    eventually(async () => {
      rig.wake()
      const { n } = await rig.db
        .selectFrom('webhook_attempts')
        .select(({ fn }) => fn.countAll<string>().as('n'))
        .executeTakeFirstOrThrow()
      expect(Number(n)).to.equal(count)
    })

  // Promise 118
  it('webhooks: an event that fails 10 times expires, and the next one of its payment is sent then', async () => {
    receiver.answerWith(({ data }) => (data.sequence === 1 ? 302 : 204))
    await rig.start()
    const payment = await rig.pay()
    await rig.settle(payment)
    for (let attempts = 1; attempts <= 10; attempts++) {
      await attempted(attempts)
      if (attempts < 10)
        expect((await rig.deliveries())[0]).to.include({ attempts, status: 'pending', last_status: 302 })
      const [delivery] = await rig.deliveries()
      await pass(rig.database.url, Number(delivery?.due_at) - Date.now())
    }
    await rig.delivered()
    const [first, second] = await rig.deliveries()
    expect(first).to.include({ status: 'expired', attempts: 10 })
    expect(second).to.include({ status: 'succeeded', attempts: 0 })
    expect(receiver.ids()).to.deep.equal([...Array(10).fill(created(payment)), succeeded(payment)])
  })

  // Promise 125
  it('webhooks: 410 disables the endpoint at once, enabling it goes on with what was left, and a replay sends what it missed', async () => {
    receiver.answerWith(() => 410)
    await rig.start()
    const payment = await rig.pay()
    await eventually(async () => expect(await endpoint()).to.include({ disabledReason: 'gone' }))
    const missed = await rig.pay()
    await rig.shown(missed) // Otherwise it would not be missed.
    await pass(rig.database.url, LONG_MS)
    rig.wake()
    receiver.answerWith(() => 204)
    expect((await enable())?.disabledAt).to.equal(null)
    const later = await rig.pay()
    rig.wake()
    await rig.delivered()
    await eventually(() => expect(receiver.ids()).to.deep.equal([created(payment), created(payment), created(later)]))
    const replay = { merchantId: DEFAULT_MERCHANT_ID, endpointId, id: randomUUID(), start: { from: 'missed' } } as const
    expect(await startReplay(rig.db, replay)).to.include({ outcome: 'started' })
    rig.wake()
    await eventually(() => expect(receiver.ids()).to.include(created(missed)))
    await rig.delivered()
  })

  // Promise 125
  it('webhooks: disables an endpoint that has failed for 120 h with 10 attempts, and not before', async () => {
    receiver.answerWith(() => 500)
    await rig.start()
    await rig.pay()
    await attempted(1)
    const failedFor = (hours: number, failures: number) =>
      query(
        rig.database.url,
        `update webhook_queues set failing_since = now() - ${hours} * interval '1 hour', failures = ${failures}`,
      )
    for (const [place, [hours, failures]] of [
      [119, 20],
      [121, 8],
    ].entries()) {
      await failedFor(hours ?? 0, failures ?? 0)
      await query(
        rig.database.url,
        `update webhook_deliveries set due_at = now(); update webhook_queues set due_at = now()`,
      )
      await attempted(place + 2)
      expect(await endpoint()).to.include({ disabledReason: null })
    }
    await query(
      rig.database.url,
      `update webhook_deliveries set due_at = now(); update webhook_queues set due_at = now()`,
    )
    await eventually(async () => expect(await endpoint()).to.include({ disabledReason: 'failing' }))
    await rig.pay()
    expect((await endpoint()).missedSince).to.be.instanceOf(Date)
  })

  it('webhooks: a success ends the time for which an endpoint has failed', async () => {
    receiver.answerWith(() => 500)
    await rig.start()
    await rig.pay()
    await attempted(1)
    expect(await queue()).to.include({ failures: 1, is_failing: true })
    receiver.answerWith(() => 204)
    await pass(rig.database.url, LONG_MS)
    await rig.delivered()
    expect(await queue()).to.include({ failures: 0, failing_since: null, is_failing: false })
  })

  it('webhooks: Retry-After holds the endpoint, also for other events', async () => {
    receiver.answerWith((received, res) => {
      received.status = 429
      res.writeHead(429, { 'retry-after': '600' }).end()
      return undefined
    })
    await rig.start()
    const first = await rig.pay()
    await attempted(1)
    receiver.answerWith(() => 204)
    const second = await rig.pay()
    await eventually(async () => {
      rig.wake()
      expect(await rig.deliveries()).to.have.lengthOf(2)
    })
    await eventually(async () => expect(Number((await queue()).due_at)).to.be.above(Date.now() + 500_000))
    await pass(rig.database.url, 599_000 - 60_000)
    rig.wake()
    expect(receiver.ids()).to.deep.equal([created(first)])
    await pass(rig.database.url, 120_000)
    await rig.delivered()
    expect(receiver.ids()).to.have.members([first, first, second].map(created))
  })

  // Promise 124
  it('webhooks: after an outage all that waits for a retry is sent in order, at a rate that doubles from 1 a second', async () => {
    receiver.answerWith(() => 500)
    await rig.start()
    const payments: string[] = []
    for (let count = 0; count < 10; count++) payments.push(await rig.pay())
    await attempted(10)
    receiver.answerWith(() => 204)
    // Only the last one is due.
    await query(
      rig.database.url,
      `update webhook_deliveries set due_at = now(), retry_at = now() where id = (select max(id) from webhook_deliveries);
      update webhook_queues set due_at = now()`,
    )
    await rig.delivered()
    const [probe, ...sent] = receiver.received.slice(10)
    expect(probe?.id).to.equal(created(payments[9] ?? ''))
    expect(sent.map(({ id }) => id)).to.deep.equal(payments.slice(0, 9).map(created))
    // 1 in the first second, then 2, then 4: 3 seconds have begun before the fourth, the eighth comes a second later.
    const after = (place: number) => (sent[place]?.at ?? 0) - (probe?.at ?? 0)
    expect(after(1)).to.be.within(900, 2_500)
    expect(after(3)).to.be.within(1_900, 3_500)
    expect(after(7)).to.be.within(2_900, 4_500)
    // Each attempt has a time of its own, also that of an event that was signed before.
    for (const again of sent) {
      const first = defined(
        receiver.received.find(({ id }) => id === again.id),
        'first attempt',
      )
      const [signedAgainS, signedS] = [again, first].map(({ headers }) => Number(headers['webhook-timestamp']))
      expect((signedAgainS ?? 0) - (signedS ?? 0)).to.be.closeTo((again.at - first.at) / 1_000, 1.5)
    }
  })

  it('webhooks: with ordering none an event is sent although the one before it fails', async () => {
    const other = await startReceiver(({ data }) => (data.sequence === 1 ? 500 : 204))
    await rig.endpoint(other.url, { ordering: 'none' })
    await rig.start()
    const payment = await rig.pay()
    await rig.settle(payment)
    rig.wake()
    await eventually(() => expect(other.ids()).to.deep.equal([created(payment), succeeded(payment)]))
    await other.stop()
  })

  // Promise 124
  it('webhooks: an event that always fails at a busy endpoint is tried early once, and delays no other', async () => {
    const poison = await rig.pay()
    receiver.answerWith(({ data }) => (data.id === poison ? 500 : 204))
    await rig.start()
    for (let count = 0; count < 20; count++) {
      const payment = await rig.pay()
      rig.wake()
      await eventually(() => expect(receiver.ids()).to.include(created(payment)), { intervalMs: 5 })
    }
    await eventually(async () =>
      expect((await rig.deliveries()).filter(({ status }) => status === 'pending')).to.have.lengthOf(1),
    )
    const tries = receiver.ids().filter((id) => id === created(poison)).length
    const [{ attempts = 0 } = {}] = await rig.deliveries()
    // Each attempt by the schedule, and one before each retry.
    expect(tries).to.be.within(attempts, 2 * attempts)
    expect(attempts).to.be.within(1, 2)
    expect(await queue()).to.include({ is_failing: false })
  })
})
