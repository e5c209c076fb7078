import { DEFAULT_MERCHANT_ID, eventId } from '@cashflow/domain'
import {
  createTestVhost,
  eventually,
  openClient,
  type Pipeline,
  query,
  startPipeline,
  startPrivatePostgres,
  startTcpProxy,
  type TcpProxy,
} from '@cashflow/testing'
import { expect } from 'chai'
import { type Receiver, startReceiver } from './receiver.ts'
import { created, type Rig, SECRETS_KEY, startRig } from './rig.ts'

/** From a message to its confirm. A relay waits for 5 s at most. */
const CONFIRM_MS = 4_000
/** From the COMMIT of an event to its webhook, at most. Half of it without a notification. */
const DELIVERED_MS = 2_000
/** Time for which another session's transaction runs: more than two looks of an idle process. */
const HELD_MS = 2_500

describe('webhooks while a transaction runs', () => {
  let rig: Rig
  let receiver: Receiver
  let broker: TcpProxy | undefined
  let pipeline: Pipeline | undefined

  beforeEach(async () => {
    // A server of its own: the horizon is that of a whole server, also of other tests' transactions.
    const server = await startPrivatePostgres()
    rig = await startRig({ name: 'payments', url: server.url, drop: server.stop })
    receiver = await startReceiver()
    await rig.endpoint(receiver.url)
  })
  afterEach(async () => {
    await pipeline?.stop()
    await broker?.stop()
    pipeline = broker = undefined
    await rig.stop()
    await receiver.stop()
  })

  /** Time for which a relay's transaction has had an xid, in milliseconds. */
  async function relayMs(): Promise<number> {
    const [row] = await query<{ ms: number }>(
      rig.database.url,
      `select (extract(epoch from clock_timestamp() - xact_start) * 1000)::float8 as ms from pg_stat_activity
      where application_name like 'cashflow-relay (%' and backend_xid is not null`,
    )
    return row?.ms ?? 0
  }

  // Promise 122
  it('webhooks: none is delayed while the relay’s transaction waits 4 s for a confirm of the broker', async () => {
    const vhost = await createTestVhost()
    broker = await startTcpProxy(vhost.url)
    const database = { url: rig.database.url, drop: async () => {} }
    const settings = { RABBITMQ_URL: broker.url, WEBHOOK_ALLOW_PRIVATE: 'yes', SECRETS_KEY }
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 0, webhooks: 1 }, settings, { database, vhost })
    const paid = [(await pipeline.post('REF-warm')).id]
    await eventually(async () => expect(await query(database.url, 'select from outbox_messages')).to.have.length(0))

    broker.delay(CONFIRM_MS / 2)
    for (let relayMsMax = 0; relayMsMax < CONFIRM_MS - 1_000; ) {
      const { id } = await pipeline.post(`REF-${paid.length}`)
      paid.push(id)
      await eventually(
        () => expect(receiver.ids(), `the relay's transaction runs for ${relayMsMax} ms`).to.include(created(id)),
        { timeoutMs: DELIVERED_MS },
      )
      relayMsMax = Math.max(relayMsMax, await relayMs())
    }
    await rig.delivered()
    expect(receiver.ids()).to.have.members(paid.map(created))
  }).timeout(120_000)

  // Promise 122
  it('webhooks: another session’s transaction delays the events that are committed while it runs, and none is skipped', async () => {
    await rig.start()
    await rig.start()
    const before = await rig.pay()
    rig.wake()
    await eventually(() => expect(receiver.ids()).to.deep.equal([created(before)]))
    const session = await openClient(rig.database.url, { application_name: 'nightly report' })
    await session.query('begin')
    // It has an earlier xid than the events that are committed before it.
    await session.query(
      `insert into payment_events (payment_id, merchant_id, sequence, type, actor, created_at)
      values ($1, $2, 2, 'payment.failed', 'api', now())`,
      [before, DEFAULT_MERCHANT_ID],
    )
    const paid = [before]
    for (const endsAt = performance.now() + HELD_MS; performance.now() < endsAt; ) {
      paid.push(await rig.pay())
      rig.wake()
    }
    expect(receiver.ids()).to.deep.equal([created(before)])
    await session.query('commit')
    await session.end()
    rig.wake()
    await eventually(() => expect(receiver.ids()).to.have.members([...paid.map(created), eventId(before, 2)]))
    await rig.delivered()
  }).timeout(60_000)
})
