import { nullLogger, openClient, type PrivatePostgres, startPrivatePostgres } from '@cashflow/testing'
import { expect } from 'chai'
import type pg from 'pg'
import {
  createDatabase,
  type Database,
  deleteEndpoint,
  findEndpoint,
  startReplay,
  updateEndpoint,
} from '../../src/index.ts'
import { replayPage } from '../../src/webhooks.ts'
import { eventValues, INSERT_EVENT } from '../events/feed-rig.ts'
import { deliveredTo, fanOutAll, finishAll, newEndpoint, newMerchant } from './webhook-rig.ts'

describe('start of a webhook endpoint', () => {
  // A server of its own: events are hidden below the oldest transaction of the server, also of other tests.
  let server: PrivatePostgres
  let db: Database
  let merchantId: string
  const clients: pg.Client[] = []
  before(async () => {
    server = await startPrivatePostgres()
    db = createDatabase({ url: server.url, applicationName: 'test', poolMax: 3, logger: nullLogger })
  })
  beforeEach(async () => {
    merchantId = await newMerchant(db)
  })
  afterEach(() => Promise.all(clients.splice(0).map((client) => client.end())))
  after(async () => {
    await db?.destroy()
    await server?.stop()
  })

  async function begin(): Promise<pg.Client> {
    const client = await openClient(server.url, { application_name: 'test-writer' })
    clients.push(client)
    await client.query('begin')
    return client
  }

  /** @returns the id of the event's payment */
  async function insertEvent(client?: pg.Client): Promise<string> {
    const values = eventValues(merchantId)
    if (client) await client.query(INSERT_EVENT, [...values])
    else {
      const own = await begin()
      await own.query(INSERT_EVENT, [...values])
      await own.query('commit')
    }
    return values[0]
  }

  const afterFanOut = async (endpointId: string) => {
    await fanOutAll(db, merchantId)
    return await deliveredTo(db, endpointId)
  }

  it('webhook endpoint: gets events that are committed after it was created, and none that is older than every transaction then', async () => {
    await insertEvent()
    const endpoint = await newEndpoint(db, merchantId)
    const later = await insertEvent()
    expect(await afterFanOut(endpoint.id)).to.deep.equal([later])
  })

  // Promise 118
  it('webhook endpoint: gets an event whose transaction began before the endpoint was created and committed after', async () => {
    for (const isFirst of [true, false]) {
      if (!isFirst) await newEndpoint(db, merchantId)
      const writer = await begin()
      const event = await insertEvent(writer)
      const endpoint = await newEndpoint(db, merchantId)
      expect(await afterFanOut(endpoint.id), 'while the transaction runs').to.deep.equal([])
      const later = await insertEvent()
      await writer.query('commit')
      expect(await afterFanOut(endpoint.id)).to.have.members([event, later])
    }
  })

  // Promise 122
  it('webhook endpoint: a creation waits for a fan-out, and the next fan-out counts the endpoint', async () => {
    const first = await newEndpoint(db, merchantId)
    const fanningOut = await begin()
    await fanningOut.query('select from webhook_cursors where merchant_id = $1 for update', [merchantId])
    const creation = newEndpoint(db, merchantId)
    const event = await insertEvent()
    await fanningOut.query('commit')
    const second = await creation
    expect(await afterFanOut(first.id)).to.deep.equal([event])
    const later = await insertEvent()
    expect((await afterFanOut(second.id)).at(-1)).to.equal(later)
  })

  // Promise 125
  it('webhook endpoint: gets nothing while it is disabled, and a replay from the first missed event delivers all of it', async () => {
    const endpoint = await newEndpoint(db, merchantId)
    const name = { merchantId, id: endpoint.id }
    const delivered = await insertEvent()
    await afterFanOut(endpoint.id)
    await updateEndpoint(db, { ...name, isEnabled: false })
    const missed = [await insertEvent(), await insertEvent()]
    expect(await afterFanOut(endpoint.id)).to.deep.equal([delivered])
    // A second time: what it missed first counts.
    await updateEndpoint(db, { ...name, isEnabled: true })
    await updateEndpoint(db, { ...name, isEnabled: false })
    missed.push(await insertEvent())
    await updateEndpoint(db, { ...name, isEnabled: true })
    const later = await insertEvent()
    expect(await afterFanOut(endpoint.id)).to.deep.equal([delivered, later])
    expect((await findEndpoint(db, name))?.missedSince).to.be.instanceOf(Date)
    const replay = { merchantId, endpointId: endpoint.id, id: endpoint.id, start: { from: 'missed' } } as const
    expect((await startReplay(db, replay)).outcome).to.equal('started')
    await replayAll()
    expect(await deliveredTo(db, endpoint.id)).to.include.members([delivered, later, ...missed])
    expect((await findEndpoint(db, name))?.missedSince).to.equal(null)
  })

  it('webhook endpoint: gets no event after it was deleted', async () => {
    const [kept, deleted] = [await newEndpoint(db, merchantId), await newEndpoint(db, merchantId)]
    expect(await deleteEndpoint(db, { merchantId, id: deleted.id })).to.equal(true)
    const event = await insertEvent()
    expect(await afterFanOut(kept.id)).to.deep.equal([event])
    expect(await deliveredTo(db, deleted.id)).to.deep.equal([])
  })

  it('webhook endpoint: its types count from the next event that is fanned out', async () => {
    const endpoint = await newEndpoint(db, merchantId, { types: ['payment.failed'] })
    await insertEvent()
    expect(await afterFanOut(endpoint.id)).to.deep.equal([])
    await updateEndpoint(db, { merchantId, id: endpoint.id, types: ['payment.created'] })
    const event = await insertEvent()
    expect(await afterFanOut(endpoint.id)).to.deep.equal([event])
  })

  it('webhook replay: delivers again what comes after an event, and what comes after a time', async () => {
    const endpoint = await newEndpoint(db, merchantId)
    const events = [await insertEvent(), await insertEvent(), await insertEvent()]
    await afterFanOut(endpoint.id)
    for (const [start, expected] of [
      [{ from: 'event', paymentId: events[1] as string, sequence: 1 }, [events[2]]],
      [{ from: 'time', time: new Date(0) }, events],
    ] as const) {
      await finishAll(db, endpoint.id)
      const id = crypto.randomUUID()
      const started = await startReplay(db, { merchantId, endpointId: endpoint.id, id, start })
      expect(started.outcome).to.equal('started')
      await replayAll()
      const pending = await db
        .selectFrom('webhook_deliveries')
        .select('payment_id')
        .where('endpoint_id', '=', endpoint.id)
        .where('status', '=', 'pending')
        .orderBy('id')
        .execute()
      expect(pending.map(({ payment_id }) => payment_id)).to.deep.equal(expected)
    }
  })

  async function replayAll(): Promise<void> {
    const options = { eventsMax: 2, unfinishedMax: 1_000, bodyOf: () => '{}' }
    while (await replayPage(db, '00000000-0000-0000-0000-000000000000', options));
  }
})
