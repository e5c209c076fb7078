import type { Socket } from 'node:net'
import { createTestVhost, eventually, type TestVhost } from '@cashflow/testing'
import { expect } from 'chai'
import { ask } from '../src/channel.ts'
import { cleanUp, createProxy, createRig, depth, message, onChannel, type Rig } from './rig.ts'

const CONFIRMED = { status: 'confirmed' }
const RETURNED = { status: 'returned', reason: '312 NO_ROUTE' }
/** Deadline for calls that have to succeed, long enough for a busy machine. */
const SOON = { deadlineMs: 60_000 }

describe('publisher', () => {
  let vhost: TestVhost
  let rig: Rig
  beforeEach(async () => {
    vhost = await createTestVhost()
    rig = createRig([vhost.url])
  })
  afterEach(async () => {
    await cleanUp()
    await vhost.drop()
  })

  it('confirms each message at its index', async () => {
    const publisher = rig.publisher()
    const outcomes = await publisher.publish(
      Array.from({ length: 3_000 }, () => message()),
      SOON,
    )
    expect(outcomes).to.have.length(3_000)
    expect(outcomes.every(({ status }) => status === 'confirmed')).to.equal(true)
    expect(await depth(vhost.url, 'payments')).to.equal(3_000)
  })

  it('publishes persistent messages with all their properties', async () => {
    const sent = message()
    await rig.publisher().publish([sent], SOON)
    const [got] = (await vhost.management.request('POST', `/queues/${vhost.name}/payments/get`, {
      count: 1,
      ackmode: 'ack_requeue_false',
      encoding: 'auto',
    })) as { properties: object; payload: string }[]
    expect(got?.payload).to.equal(sent.body)
    expect(got?.properties).to.deep.include({
      delivery_mode: 2,
      message_id: sent.messageId,
      type: sent.topic,
      timestamp: Math.floor(sent.createdAt.getTime() / 1000),
      content_type: 'application/json',
    })
  })

  it('sends all messages of a call in a few writes to the socket', async () => {
    const publisher = rig.publisher()
    await publisher.whenReady()
    const { stream } = (await rig.connection.broker()).amqp.connection as unknown as { stream: Socket }
    let writes = 0
    for (const way of ['_write', '_writev'] as const) {
      const write = stream[way]?.bind(stream) as (...given: unknown[]) => void
      stream[way] = (...given: unknown[]) => {
        writes += 1
        write(...given)
      }
    }
    const sent = Array.from({ length: 500 }, () => message())
    expect(await publisher.publish(sent, SOON)).to.deep.equal(sent.map(() => CONFIRMED))
    expect(writes).to.be.within(1, 100)
  })

  it('resolves an empty call', async () => {
    expect(await rig.publisher().publish([], SOON)).to.deep.equal([])
  })

  it('reports a mandatory message without a queue as returned, and others as confirmed', async () => {
    const publisher = rig.publisher()
    const outcomes = await publisher.publish(
      [message({ topic: 'no.queue' }), message({ topic: 'no.queue', mandatory: false }), message()],
      SOON,
    )
    expect(outcomes).to.deep.equal([RETURNED, CONFIRMED, CONFIRMED])
    expect(publisher.outcomes).to.include({ returned: 1, confirmed: 2, unknown: 0 })
    expect(publisher.inFlight).to.equal(0)
  })

  it('distinguishes two messages with the same id that are in flight together', async () => {
    const publisher = rig.publisher()
    const routed = message({ messageId: 'twin' })
    const unroutable = message({ messageId: 'twin', topic: 'no.queue' })
    const pairs = Array.from({ length: 200 }, (_, index) =>
      index % 2 ? [routed, unroutable] : [unroutable, routed],
    ).flat()
    const outcomes = await publisher.publish(pairs, SOON)
    expect(outcomes).to.deep.equal(pairs.map((sent) => (sent === routed ? CONFIRMED : RETURNED)))
  })

  it('routes messages again after it declared the topology again', async () => {
    const publisher = rig.publisher()
    await publisher.whenReady()
    await onChannel(vhost.url, (channel) =>
      ask((done) => channel.unbindQueue('payments', 'payments', 'payment.created', {}, done)),
    )
    expect(await publisher.publish([message()], SOON)).to.deep.equal([RETURNED])
    expect(await publisher.redeclare()).to.equal(true)
    expect(rig.logger.logged('messages were returned, the topology is declared again')).to.have.length(1)
    expect(await publisher.publish([message()], SOON)).to.deep.equal([CONFIRMED])
  })

  it('logs why the topology cannot be declared again', async () => {
    const publisher = rig.publisher()
    await publisher.whenReady()
    await onChannel(vhost.url, async (channel) => {
      await ask((done) => channel.deleteQueue('payments', {}, done))
      await ask((done) => channel.assertQueue('payments', { durable: true }, done))
    })
    expect(await publisher.publish([message()], SOON)).to.deep.equal([RETURNED])
    expect(await publisher.redeclare()).to.equal(false)
    expect(rig.logger.logged('could not declare the topology')[0]?.fields.reason).to.match(/406.*queue 'payments'/)
    expect(publisher.ready, 'it has a channel of its own').to.equal(true)
  })

  it('reports a message that a full queue refuses as nacked', async () => {
    const publisher = rig.publisher()
    await publisher.whenReady()
    await vhost.management.request('PUT', `/policies/${vhost.name}/short`, {
      pattern: '^payments$',
      'apply-to': 'queues',
      definition: { 'max-length': 5 },
    })
    await eventually(async () => {
      const outcomes = await publisher.publish(
        Array.from({ length: 50 }, () => message()),
        SOON,
      )
      expect(outcomes.map(({ status }) => status)).to.include('nacked')
    })
  })

  it('reports a message that fits no frame as oversized, and sends the others', async () => {
    const publisher = rig.publisher()
    const outcomes = await publisher.publish(
      [message(), message({ topic: 'x'.repeat(256) }), message({ headers: { big: 'x'.repeat(70_000) } }), message()],
      SOON,
    )
    expect(outcomes.map(({ status }) => status)).to.deep.equal(['confirmed', 'oversized', 'oversized', 'confirmed'])
  })

  // Promise 22
  it('reports a message to a deleted exchange as unknown, and declares the exchange again', async () => {
    const publisher = rig.publisher()
    await publisher.whenReady()
    await onChannel(vhost.url, (channel) => ask((done) => channel.deleteExchange('payments', {}, done)))
    const [outcome] = await publisher.publish([message()], SOON)
    expect(outcome).to.include({ status: 'unknown' })
    expect(await publisher.publish([message()], SOON)).to.deep.equal([CONFIRMED])
  })

  it('reports messages as unknown at the deadline while no broker is reachable', async () => {
    const away = createRig(['amqp://127.0.0.1:1'])
    const startedAt = performance.now()
    const [outcome] = await away.publisher().publish([message()], { deadlineMs: 200 })
    expect(outcome).to.deep.equal({ status: 'unknown', reason: 'not confirmed within 200 ms' })
    expect(performance.now() - startedAt).to.be.at.least(100)
  })

  // Promise 23
  it('sends at most its window, and reports messages in flight as unknown after a cut', async () => {
    const proxy = await createProxy(vhost.url)
    const muted = createRig([proxy.url])
    const publisher = muted.publisher({ windowMax: 100 })
    await publisher.whenReady()
    proxy.mute()
    const begun = publisher.publish(
      Array.from({ length: 1_000 }, () => message()),
      { deadlineMs: 60_000 },
    )
    const behind = publisher.publish([message()], { deadlineMs: 60_000 })
    await eventually(async () => expect(await depth(vhost.url, 'payments')).to.equal(100))
    proxy.reset()
    proxy.restore()
    const outcomes = await begun
    expect(outcomes.every(({ status }) => status === 'unknown')).to.equal(true)
    // A call of which nothing was sent waits for the next connection.
    expect(await behind).to.deep.equal([CONFIRMED])
    expect(await depth(vhost.url, 'payments')).to.equal(101)
  })

  // Promise 21
  it('connects to the next broker when a confirm is overdue', async () => {
    const silent = await createProxy(vhost.url)
    const other = await createProxy(vhost.url)
    const pair = createRig([silent.url, other.url])
    const publisher = pair.publisher()
    await publisher.whenReady()
    silent.mute()
    const [outcome] = await publisher.publish([message()], { deadlineMs: 300 })
    expect(outcome).to.deep.equal({ status: 'unknown', reason: 'not confirmed within 300 ms' })
    expect(await publisher.publish([message()], SOON)).to.deep.equal([CONFIRMED])
    expect(other.taken).to.be.at.least(1)
  })

  it('finishes the running calls when it is stopped, and accepts no more', async () => {
    const publisher = rig.publisher()
    await publisher.whenReady()
    const begun = publisher.publish(
      Array.from({ length: 2_000 }, () => message()),
      SOON,
    )
    const stopped = publisher.stop()
    expect(publisher.ready).to.equal(false)
    expect(await publisher.publish([message()], SOON)).to.deep.equal([
      { status: 'unknown', reason: 'the publisher was stopped' },
    ])
    await stopped
    expect((await begun).every(({ status }) => status === 'confirmed')).to.equal(true)
    await publisher.stop()
  })

  it('rejects whenReady when it is stopped', async () => {
    const away = createRig(['amqp://127.0.0.1:1'])
    const waiting = away.publisher().whenReady()
    away.stop()
    expect(await waiting.catch((error: Error) => error.message)).to.equal('the publisher was stopped')
  })
})
