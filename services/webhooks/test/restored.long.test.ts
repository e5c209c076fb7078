import { randomUUID } from 'node:crypto'
import { startReplay, updateEndpoint } from '@cashflow/db'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import {
  type DebianPostgres,
  eventually,
  type PrivatePostgres,
  query,
  runMigrate,
  startDebianPostgres,
  startPrivatePostgres,
  withDatabase,
} from '@cashflow/testing'
import { expect } from 'chai'
import { type Receiver, startReceiver, verifyWith } from './receiver.ts'
import { created, type Rig, startRig, succeeded, type TestEndpoint } from './rig.ts'
import { claimAndDie, endLeases, expectNoneLeftBehind, pass } from './time.ts'

const HOUR_MS = 3_600_000
/** More transactions than either server has had. */
const MANY = 5_000

describe('webhooks of a restored dump', function () {
  this.timeout(180_000)
  let lost: DebianPostgres
  let fresh: PrivatePostgres
  let former: Rig
  let rig: Rig
  let receivers: Receiver[]

  beforeEach(async () => {
    ;[lost, fresh] = await Promise.all([startDebianPostgres(), startPrivatePostgres()])
    await query(fresh.url, 'create database restored')
    former = await startRig({ name: 'payments', url: lost.url, drop: lost.stop })
    receivers = []
  })
  afterEach(async () => {
    await former?.stop()
    await rig?.stop()
    await Promise.all(receivers.map((each) => each.stop()))
  })

  async function receive(status = 204): Promise<Receiver> {
    const receiver = await startReceiver(() => status)
    receivers.push(receiver)
    return receiver
  }

  const pay = async (on: Rig, count: number) => {
    const payments: string[] = []
    while (payments.length < count) payments.push(await on.pay())
    return payments
  }

  /** Transactions without events, so that the xids of a server are ahead of the other's. */
  const spend = (url: string) =>
    query(url, `do $$ begin for n in 1..${MANY} loop perform pg_current_xact_id(); commit; end loop; end $$`)

  async function restore(): Promise<void> {
    const url = withDatabase(fresh.url, 'restored')
    await lost.restoreInto(url)
    await runMigrate(url)
    rig = await startRig({ name: 'restored', url, drop: fresh.stop })
  }

  const change = (on: Rig, { id }: TestEndpoint, isEnabled: boolean) =>
    updateEndpoint(on.db, { merchantId: DEFAULT_MERCHANT_ID, id, isEnabled })

  const replay = (on: Rig, { id: endpointId }: TestEndpoint, start: Parameters<typeof startReplay>[1]['start']) =>
    startReplay(on.db, { merchantId: DEFAULT_MERCHANT_ID, endpointId, id: randomUUID(), start })

  for (const [which, isFreshAhead] of [
    ['fewer', false],
    ['more', true],
  ] as const)
    it(`webhooks: a dump restored into a cluster of ${which} transactions loses no webhook, and repeats none that was delivered`, async () => {
      await spend(isFreshAhead ? fresh.url : lost.url)
      await former.pay()
      await query(lost.url, "update payment_events set created_at = now() - interval '1 day'")
      const [up, down, late] = [await receive(), await receive(500), await receive()]
      const upEndpoint = await former.endpoint(up.url)
      const downEndpoint = await former.endpoint(down.url)
      const process = await former.start()
      const delivered = await pay(former, 3)
      former.wake()
      await eventually(() => expect(up.ids()).to.deep.equal(delivered.map(created)))
      await eventually(() => expect(down.received).to.not.be.empty)
      await process.stop()
      const distributor = await former.start({ attemptsMax: 0 })
      const queued = await pay(former, 3)
      await former.settle(...delivered)
      await eventually(async () => expect(await former.deliveries()).to.have.lengthOf(18))
      await distributor.stop()
      const claimed = await claimAndDie(former.db, { deliveriesMax: 3 })
      expect(claimed).to.not.be.empty
      const unread = await pay(former, 3)
      await former.endpoint(late.url, { types: ['payment.created'] })
      const last = await pay(former, 2)

      await restore()
      const after = await pay(rig, 3)
      down.answerWith(() => 204)
      await endLeases(rig.database.url, claimed)
      await rig.start()
      await rig.start()
      const all = [...delivered, ...queued, ...unread, ...last, ...after]
      const rows = 2 * (all.length + delivered.length)
      await eventually(async () => {
        await pass(rig.database.url, HOUR_MS)
        expect((await rig.deliveries()).length).to.be.at.least(rows)
        expect((await rig.deliveries()).filter(({ finished_at }) => finished_at === null)).to.deep.equal([])
      })
      const events = [...all.map(created), ...delivered.map(succeeded)]
      expect(up.ids()).to.have.members(events)
      expect(new Set(down.ids())).to.deep.equal(new Set(events))
      // The xid at which an endpoint begins means nothing on another server. So it may get events of the ten minutes before.
      expect(late.ids()).to.include.members([...last, ...after].map(created))
      for (const request of up.received) verifyWith(upEndpoint.secret, request)
      for (const request of down.received) verifyWith(downEndpoint.secret, request)
      await expectNoneLeftBehind(rig.database.url)
    })

  for (const [which, isFreshAhead] of [
    ['fewer', false],
    ['more', true],
  ] as const)
    it(`webhooks: replays from before a dump go on in a cluster of ${which} transactions, also from what was missed`, async () => {
      await spend(isFreshAhead ? fresh.url : lost.url)
      const [again, off] = [await receive(), await receive()]
      const offEndpoint = await former.endpoint(off.url)
      const againEndpoint = await former.endpoint(again.url)
      await former.start()
      const seen = await pay(former, 3)
      former.wake()
      for (const receiver of [again, off])
        await eventually(() => expect(receiver.ids()).to.deep.equal(seen.map(created)))
      await former.delivered()
      await change(former, offEndpoint, false)
      const missed = await pay(former, 3)
      former.wake()
      await eventually(() => expect(again.ids()).to.deep.equal([...seen, ...missed].map(created)))
      await former.delivered()
      await former.stopProcesses()
      expect(await replay(former, againEndpoint, { from: 'time', time: new Date(0) })).to.include({
        outcome: 'started',
      })

      await restore()
      const later = await pay(rig, 2)
      await rig.start()
      const twice = [...seen, ...missed].map(created)
      await eventually(() => expect(again.ids()).to.have.members([...twice, ...twice, ...later.map(created)]))
      expect(off.ids()).to.deep.equal(seen.map(created))
      await change(rig, offEndpoint, true)
      expect(await replay(rig, offEndpoint, { from: 'missed' })).to.include({ outcome: 'started' })
      rig.wake()
      await eventually(() => expect(off.ids()).to.include.members([...missed, ...later].map(created)))
      await rig.delivered()
      await expectNoneLeftBehind(rig.database.url)
    })
})
