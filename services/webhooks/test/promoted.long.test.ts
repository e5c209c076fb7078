import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import {
  eventually,
  openClient,
  type ReplicatedPostgres,
  startReplicatedPostgres,
  startTcpProxy,
  type TcpProxy,
} from '@cashflow/testing'
import { expect } from 'chai'
import { type Receiver, startReceiver } from './receiver.ts'
import { created, type Rig, startRig } from './rig.ts'
import { expectNoneLeftBehind } from './time.ts'

/** Events that the standby does not have. */
const LOST = 20
/** More than `LOST`: the transaction ids of these events reach beyond those of the lost ones. */
const AFTER = 40

describe('webhooks after a promotion', function () {
  this.timeout(180_000)
  let postgres: ReplicatedPostgres
  let proxy: TcpProxy
  let rig: Rig
  let receiver: Receiver
  before(async () => {
    postgres = await startReplicatedPostgres()
    proxy = await startTcpProxy(postgres.url)
    rig = await startRig({ name: 'payments', url: proxy.url, drop: postgres.stop })
    receiver = await startReceiver()
  })
  after(async () => {
    await rig?.stop()
    await proxy?.stop()
    await receiver?.stop()
  })

  /** Stores events whose COMMIT does not wait for the standby, and that a failover therefore loses. */
  async function storeUnreplicated(count: number): Promise<void> {
    const client = await openClient(postgres.url)
    await client.query('set synchronous_commit = local')
    for (let stored = 0; stored < count; stored++)
      await client.query(
        `insert into payment_events (payment_id, merchant_id, sequence, type, actor, created_at)
        values (gen_random_uuid(), $1, 1, 'payment.created', 'api', now())`,
        [DEFAULT_MERCHANT_ID],
      )
    await client.end()
  }

  async function pay(count: number): Promise<string[]> {
    const payments: string[] = []
    while (payments.length < count) payments.push(await rig.pay())
    return payments
  }

  it('webhooks: a promoted standby delivers every event that it has, although new events have the transaction ids of lost ones', async () => {
    await rig.endpoint(receiver.url)
    const processes = [await rig.start(), await rig.start()]
    const delivered = await pay(5)
    rig.wake()
    await eventually(() => expect(receiver.ids()).to.have.members(delivered.map(created)))
    await rig.delivered()
    for (const process of processes) await process.stop()
    const unread = await pay(3)
    postgres.freezeReplication()
    await storeUnreplicated(LOST)
    // They go on through the promotion.
    await rig.start()
    await rig.start()
    await postgres.failOver((standbyUrl) => proxy.redirect(standbyUrl))

    const after = await eventually(() => pay(1), { timeoutMs: 60_000 })
    after.push(...(await pay(AFTER - 1)))
    const kept = [...delivered, ...unread, ...after].map(created)
    await eventually(() => expect(receiver.ids()).to.include.members(kept), { timeoutMs: 60_000 })
    const later = await pay(3)
    rig.wake()
    await eventually(() => expect(receiver.ids()).to.include.members(later.map(created)))
    await rig.delivered()
    const stored = (await rig.deliveries()).map(({ payment_id }) => created(payment_id))
    expect(stored).to.have.members([...kept, ...later.map(created)])
    expect(receiver.ids().filter((id) => delivered.map(created).includes(id))).to.have.lengthOf(delivered.length)
    await expectNoneLeftBehind(postgres.url)
  })
})
