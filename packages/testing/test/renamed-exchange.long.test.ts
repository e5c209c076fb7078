import { expect } from 'chai'
import { createTestVhost, eventually, type Pipeline, startPipeline, type TestVhost } from '../src/index.ts'

const CONSUMED = { timeoutMs: 60_000 }

/** Topology of the previous version with MQ_QUEUE=orders: its exchange was `payments` for every queue name. */
async function declareFormer({ name, management: { request } }: TestVhost): Promise<void> {
  const topic = { type: 'topic', durable: true }
  await request('PUT', `/exchanges/${name}/payments`, topic)
  await request('PUT', `/exchanges/${name}/orders.dead`, { type: 'fanout', durable: true })
  const quorum = { 'x-queue-type': 'quorum' }
  const dead = { durable: true, arguments: { ...quorum, 'x-delivery-limit': 1_000_000 } }
  await request('PUT', `/queues/${name}/orders.dead`, dead)
  await request('POST', `/bindings/${name}/e/orders.dead/q/orders.dead`, { routing_key: '' })
  const queue = {
    'x-delivery-limit': 100,
    'x-dead-letter-exchange': 'orders.dead',
    'x-dead-letter-strategy': 'at-least-once',
    'x-overflow': 'reject-publish',
  }
  await request('PUT', `/queues/${name}/orders`, { durable: true, arguments: { ...quorum, ...queue } })
  for (const key of ['payment.created', 'payment.retry'])
    await request('POST', `/bindings/${name}/e/payments/q/orders`, { routing_key: key })
}

describe('upgrade from the exchange `payments` to one with the name of MQ_QUEUE', function () {
  this.timeout(180_000)
  let vhost: TestVhost
  let pipeline: Pipeline
  beforeEach(async () => {
    vhost = await createTestVhost()
    await declareFormer(vhost)
    // Long enough that no payment settles because of a redrive.
    const settings = { MQ_QUEUE: 'orders', REDRIVE_AFTER_MS: '3600000' }
    pipeline = await startPipeline({ api: 1, relay: 0, worker: 0 }, settings, { vhost })
  })
  afterEach(() => pipeline.stop())

  const post = (...references: string[]) =>
    Promise.all(references.map(async (reference) => (await pipeline.post(reference)).id))
  const settled = (ids: readonly string[]) =>
    eventually(async () => {
      const { rows } = await pipeline.db.query('select id from payments where status <> $1', ['PENDING'])
      expect(rows.map(({ id }) => id)).to.include.members([...ids])
    }, CONSUMED)

  /** Does the work of a previous version's relay: publishes to `payments`, and deletes the messages from the outbox. */
  const takeFromOutbox = () => pipeline.db.query('delete from outbox_messages')
  async function publishFormerly(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const payload = JSON.stringify({ payment_id: id })
      const message = { properties: {}, routing_key: 'payment.created', payload, payload_encoding: 'string' }
      const answer = await vhost.management.request('POST', `/exchanges/${vhost.name}/payments/publish`, message)
      expect(answer).to.deep.equal({ routed: true })
    }
  }

  // Promise 37
  it('loses no message, and leaves a former exchange that can be deleted', async () => {
    const waiting = await post('waiting-1', 'waiting-2', 'waiting-3')
    await publishFormerly(waiting)
    const late = await post('late-1', 'late-2')
    await takeFromOutbox()
    const stored = await post('stored-1', 'stored-2')
    await Promise.all([pipeline.start('relay'), pipeline.start('worker')])
    await settled([...waiting, ...stored])
    // A relay of the previous version still runs.
    await publishFormerly(late)
    await settled(late)

    const { request } = vhost.management
    for (const key of ['payment.created', 'payment.retry'])
      await request('DELETE', `/bindings/${vhost.name}/e/payments/q/orders/${key}`)
    await request('DELETE', `/exchanges/${vhost.name}/payments?if-unused=true`)
    await settled(await post('after-1', 'after-2'))
    for (const { logs } of [...pipeline.processes.relay, ...pipeline.processes.worker])
      expect(logs.filter(({ message }) => message.startsWith('lost'))).to.deep.equal([])
  })
})
