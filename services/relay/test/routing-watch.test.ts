import { connectionComponent, createConnection, createConsumer, createPublisher, workQueue } from '@cashflow/messaging'
import type { Component } from '@cashflow/runtime'
import { createTestVhost, eventually, recordingLogger, type TestVhost } from '@cashflow/testing'
import { expect } from 'chai'
import { createRoutingWatch } from '../src/routing-watch.ts'

const UNREAD = 'no worker consumes the queue that this relay publishes to, its messages wait'
const READ = 'a worker consumes the queue that this relay publishes to'

describe('routing watch of a relay', () => {
  let vhost: TestVhost
  let components: Component[]
  const { lines, logger, linesOf } = recordingLogger()
  beforeEach(async () => {
    vhost = await createTestVhost()
    components = []
    lines.length = 0
  })
  afterEach(async () => {
    for (const component of components.toReversed()) await component.stop()
    await vhost.drop()
  })

  const run = async <AnyComponent extends Component>(component: AnyComponent): Promise<AnyComponent> => {
    components.push(component)
    await component.start(new AbortController().signal)
    return component
  }
  const connect = async () => {
    const connection = createConnection({ urls: [vhost.url], name: 'queue watch test', logger })
    await run(connectionComponent(connection))
    return connection
  }
  const publish = async (topic = 'payment.created') => {
    const topology = workQueue({ queue: 'orders', topics: ['payment.created'] })
    const publisher = await run(createPublisher({ connection: await connect(), topology, logger }))
    const message = { messageId: crypto.randomUUID(), key: 'k', topic, body: '{}', headers: {}, mandatory: true }
    const outcomes = await publisher.publish([{ ...message, createdAt: new Date() }], { deadlineMs: 60_000 })
    expect(outcomes).to.deep.equal([{ status: 'confirmed' }])
  }
  const consume = async (queue: string) =>
    run(
      createConsumer({
        connection: await connect(),
        topology: workQueue({ queue, topics: ['payment.created'] }),
        queue,
        prefetch: 1,
        handle: async () => 'ack',
        logger,
      }),
    )

  // Promise 63
  it('warns while the queue has messages and all workers consume another queue, and logs the end of it', async () => {
    await publish()
    await consume('payments')
    await run(
      createRoutingWatch({
        connection: await connect(),
        queue: 'orders',
        exchange: 'orders',
        isPaused: () => false,
        logger,
        lookMs: 50,
      }),
    )
    const [line] = await eventually(() => {
      expect(linesOf(UNREAD)).to.have.length(1)
      return linesOf(UNREAD)
    })
    expect(line).to.include({ level: 'warn' })
    expect(line?.fields).to.deep.equal({ queue: 'orders', ready_messages: 1, settings: 'MQ_QUEUE' })
    await consume('orders')
    await eventually(() => expect(linesOf(READ)).to.have.length(1))
    expect(linesOf(UNREAD)).to.have.length(1)
  })

  it('routing watch: knows its queue while RabbitMQ answers', async () => {
    await publish()
    const connection = await connect()
    const options = { connection, queue: 'orders', exchange: 'orders', isPaused: () => false, logger, lookMs: 50 }
    const { seen } = await run(createRoutingWatch(options))
    await eventually(() => expect(seen()).to.deep.equal({ ready: 1, consumers: 0 }))
    await connection.stop()
    await eventually(() => expect(seen()).to.equal(undefined))
  })

  /** A connection that counts the looks of the watch. */
  async function connectCounted() {
    const connection = await connect()
    const counted = {
      ...connection,
      looks: 0,
      broker: (signal?: AbortSignal) => {
        counted.looks += 1
        return connection.broker(signal)
      },
    }
    return counted
  }

  it('routing watch does not log that a worker consumes the queue when only its messages are gone', async () => {
    const connection = await connectCounted()
    const looked = async () => {
      const before = connection.looks
      await eventually(() => expect(connection.looks).to.be.above(before + 3))
    }
    await publish()
    await run(
      createRoutingWatch({
        connection,
        queue: 'orders',
        exchange: 'orders',
        isPaused: () => false,
        logger,
        lookMs: 50,
      }),
    )
    await eventually(() => expect(linesOf(UNREAD)).to.have.length(1))
    await vhost.management.request('DELETE', `/queues/${vhost.name}/orders/contents`)
    await looked()
    await vhost.management.request('DELETE', `/queues/${vhost.name}/orders`)
    await looked()
    expect(linesOf(READ)).to.deep.equal([])
    await consume('orders')
    await eventually(() => expect(linesOf(READ)).to.have.length(1))
  })

  it('relay: says that a pause keeps workers from the queue instead of warning, and warns after it', async () => {
    let isPaused = true
    const held = 'no worker consumes the queue because of a pause, its messages wait'
    const connection = await connectCounted()
    await publish()
    const options = { connection, queue: 'orders', exchange: 'orders', isPaused: () => isPaused, logger, lookMs: 10 }
    await run(createRoutingWatch(options))
    await eventually(() => expect(connection.looks).to.be.above(5))
    expect(linesOf(held)).to.have.length(1)
    expect(linesOf(held)[0]).to.deep.include({ level: 'info', fields: { queue: 'orders', ready_messages: 1 } })
    expect(linesOf(UNREAD)).to.deep.equal([])
    isPaused = false
    await eventually(() => expect(linesOf(UNREAD)).to.have.length(1))
  })

  it('logs no warning about an empty or missing queue', async () => {
    const connection = await connectCounted()
    await run(
      createRoutingWatch({
        connection,
        queue: 'orders',
        exchange: 'orders',
        isPaused: () => false,
        logger,
        lookMs: 10,
      }),
    )
    await eventually(() => expect(connection.looks).to.be.above(3))
    await consume('orders')
    const before = connection.looks
    await eventually(() => expect(connection.looks).to.be.above(before + 3))
    expect(lines.filter(({ level }) => level === 'warn')).to.deep.equal([])
  })
})
