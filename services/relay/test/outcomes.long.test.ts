import { WORK_TOPICS } from '@cashflow/domain'
import { createConnection, createConsumer, workQueue } from '@cashflow/messaging'
import { eventually, nullLogger, type ServiceProcess, startTcpProxy, type TcpProxy } from '@cashflow/testing'
import { expect } from 'chai'
import { createRelayRig, news, PATIENTLY, type RelayRig } from './relay-rig.ts'

describe('relay: outcome of a publish', () => {
  let rig: RelayRig
  let proxy: TcpProxy
  let relay: ServiceProcess
  beforeEach(async () => {
    rig = await createRelayRig()
    proxy = await startTcpProxy(rig.vhost.url)
    relay = rig.start({ RABBITMQ_URL: proxy.url })
    await rig.append(news(1))
    await eventually(async () => expect(await rig.backlog()).to.equal(0), PATIENTLY)
  })
  afterEach(async () => {
    await stopReceiving()
    await rig.stop()
    await proxy.stop()
  })

  const manage = (method: string, path: string, body?: unknown) => rig.vhost.management.request(method, path, body)
  const rows = (table: 'outbox_messages' | 'outbox_scheduled' | 'dead_letters') =>
    rig.db.selectFrom(table).select(['message_id', 'attempts']).orderBy('id').execute()
  const logged = (message: string) => relay.logs.filter((line) => line.message === message).length
  let stopReceiving = async () => {}

  /** Consumes the queue until the test ends. Returns the ids of its messages, as they come. */
  async function receiveAll(): Promise<Set<string | undefined>> {
    const received = new Set<string | undefined>()
    const connection = createConnection({ urls: [rig.vhost.url], name: 'test', logger: nullLogger })
    const consumer = createConsumer({
      connection,
      topology: workQueue({ queue: 'payments', topics: WORK_TOPICS }),
      queue: 'payments',
      prefetch: 5,
      async handle({ messageId }) {
        received.add(messageId)
        return 'ack'
      },
      logger: nullLogger,
    })
    stopReceiving = async () => {
      await consumer.stop()
      await connection.stop()
    }
    await connection.start()
    await consumer.start()
    return received
  }

  // Promise 9
  it('nacked: a message stays without counting the attempt while the queue is full, and is published when there is room', async () => {
    const limit = { pattern: '^payments$', 'apply-to': 'queues', definition: { 'max-length': 5 } }
    await manage('PUT', `/policies/${rig.vhost.name}/full`, limit)
    const messages: ReturnType<typeof news> = []
    // The broker applies the policy some time after it has answered.
    await eventually(
      async () => {
        const more = news(10)
        await rig.append(more)
        messages.push(...more)
        expect(logged('messages refused, tried again later')).to.be.above(2)
      },
      { ...PATIENTLY, intervalMs: 500 },
    )
    const left = await rows('outbox_messages')
    expect(left).to.have.length.above(0)
    expect(left.map(({ attempts }) => attempts)).to.deep.equal(left.map(() => 0))
    expect([...(await rows('outbox_scheduled')), ...(await rows('dead_letters'))]).to.deep.equal([])
    // Each message that is acknowledged makes room.
    const received = await receiveAll()
    await eventually(() => {
      expect(messages.filter(({ messageId }) => !received.has(messageId))).to.deep.equal([])
    }, PATIENTLY)
    expect(await rig.backlog()).to.equal(0)
  }).timeout(180_000)

  // Promise 9
  it('returned: a message is published at once, without counting the attempt, when declaring the topology restores the binding', async () => {
    const binding = `/bindings/${rig.vhost.name}/e/payments/q/payments/payment.created`
    await manage('DELETE', binding)
    const messages = news(40)
    await rig.append(messages)
    await eventually(async () => expect(await rig.backlog()).to.equal(0), PATIENTLY)
    expect(await manage('GET', binding)).to.include({ routing_key: 'payment.created' })
    const published = await rig.published()
    for (const { messageId } of messages) expect(published.has(messageId)).to.equal(true)
    expect(logged('message unroutable, tried again later')).to.equal(0)
    expect(await rows('outbox_scheduled')).to.deep.equal([])
  }).timeout(180_000)

  // Promise 9
  it('returned: a message stays without counting the attempt while the declaration is refused, and is then published', async () => {
    await manage('DELETE', `/queues/${rig.vhost.name}/payments`)
    await manage('PUT', `/queues/${rig.vhost.name}/payments`, { durable: true })
    const messages = news(40)
    await rig.append(messages)
    await eventually(() => expect(logged('could not declare the topology')).to.be.above(1))
    expect((await rows('outbox_messages')).map(({ attempts }) => attempts)).to.deep.equal(messages.map(() => 0))
    expect([...(await rows('outbox_scheduled')), ...(await rows('dead_letters'))]).to.deep.equal([])
    await manage('DELETE', `/queues/${rig.vhost.name}/payments`)
    await eventually(async () => expect(await rig.backlog()).to.equal(0), PATIENTLY)
    const published = await rig.published()
    for (const { messageId } of messages) expect(published.has(messageId)).to.equal(true)
  }).timeout(180_000)

  // Promise 9
  it('returned: a message without a queue is delayed, each attempt counts, and it becomes a dead letter', async () => {
    const [first, last] = news(2, { topic: 'without.queue' })
    await rig.append([first as typeof first & object, { ...(last as typeof last & object), key: 'another' }])
    await eventually(() => expect(logged('message unroutable, tried again later')).to.be.above(1))
    await eventually(async () => {
      const charged = [...(await rows('outbox_scheduled')), ...(await rows('outbox_messages'))]
      expect(charged.map(({ attempts }) => attempts > 0)).to.deep.equal([true, true])
    })
    await eventually(async () => {
      const { numUpdatedRows } = await rig.db
        .updateTable('outbox_scheduled')
        .set({ attempts: 19, due_at: new Date(0) })
        .where('message_id', '=', String(last?.messageId))
        .executeTakeFirst()
      expect(numUpdatedRows).to.equal(1n)
    })
    await eventually(async () =>
      expect(await rows('dead_letters')).to.deep.equal([{ message_id: last?.messageId, attempts: 20 }]),
    )
  }).timeout(180_000)

  // Promises 7, 9
  it('unknown: a message stays without counting the attempt after a connection is cut, and is delivered, perhaps twice', async () => {
    proxy.holdAnswers()
    const messages = news(40)
    await rig.append(messages)
    await eventually(async () => expect((await rig.published()).size).to.be.above(1), {
      ...PATIENTLY,
      intervalMs: 1_000,
    })
    expect(await rig.backlog(), 'the broker has them, and the relay has no confirm').to.equal(40)
    proxy.cut()
    await relay.logged('messages not confirmed, they stay in the outbox', PATIENTLY)
    expect(await rows('outbox_messages')).to.deep.equal(
      messages.map(({ messageId }) => ({ message_id: messageId, attempts: 0 })),
    )
    proxy.restore()
    await eventually(async () => expect(await rig.backlog()).to.equal(0), PATIENTLY)
    const published = await rig.published()
    for (const { messageId } of messages) expect(published.has(messageId)).to.equal(true)
    expect([...(await rows('outbox_scheduled')), ...(await rows('dead_letters'))]).to.deep.equal([])
  }).timeout(180_000)
})
