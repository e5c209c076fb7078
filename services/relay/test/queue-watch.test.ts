import { connectionComponent, createConnection, createConsumer, createPublisher, workQueue } from '@cashflow/messaging'
import type { Component } from '@cashflow/runtime'
import { createTestVhost, eventually, type TestVhost } from '@cashflow/testing'
import { expect } from 'chai'
import { createQueueWatch } from '../src/queue-watch.ts'
import { createRecorder } from './recorder.ts'

const UNREAD = 'no worker consumes the queue that this relay publishes to, its messages wait'
const READ = 'a worker consumes the queue that this relay publishes to'

describe('the watch over the queue of a relay', () => {
  let vhost: TestVhost
  let parts: Component[]
  const { lines, logger, said } = createRecorder()
  beforeEach(async () => {
    vhost = await createTestVhost()
    parts = []
    lines.length = 0
  })
  afterEach(async () => {
    for (const part of parts.toReversed()) await part.stop()
    await vhost.drop()
  })

  const run = async <AnyPart extends Component>(part: AnyPart): Promise<AnyPart> => {
    parts.push(part)
    await part.start(new AbortController().signal)
    return part
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

  it('warns where its queue has messages and all workers consume another one, and says when that is over', async () => {
    await publish()
    await consume('payments')
    await run(createQueueWatch({ connection: await connect(), queue: 'orders', logger, lookMs: 50 }))
    const [line] = await eventually(() => {
      expect(said(UNREAD)).to.have.length(1)
      return said(UNREAD)
    })
    expect(line).to.include({ level: 'warn' })
    expect(line?.fields).to.deep.equal({ queue: 'orders', ready_messages: 1, settings: 'MQ_QUEUE' })
    await consume('orders')
    await eventually(() => expect(said(READ)).to.have.length(1))
    expect(said(UNREAD)).to.have.length(1)
  })

  it('does not say that a worker consumes the queue where its messages are gone and no worker is there', async () => {
    let looks = 0
    const connection = await connect()
    const counted = {
      ...connection,
      broker: (signal?: AbortSignal) => {
        looks += 1
        return connection.broker(signal)
      },
    }
    const looked = async () => {
      const before = looks
      await eventually(() => expect(looks).to.be.above(before + 3))
    }
    await publish()
    await run(createQueueWatch({ connection: counted, queue: 'orders', logger, lookMs: 50 }))
    await eventually(() => expect(said(UNREAD)).to.have.length(1))
    await vhost.management.request('DELETE', `/queues/${vhost.name}/orders/contents`)
    await looked()
    await vhost.management.request('DELETE', `/queues/${vhost.name}/orders`)
    await looked()
    expect(said(READ)).to.deep.equal([])
    await consume('orders')
    await eventually(() => expect(said(READ)).to.have.length(1))
  })

  it('says nothing of a queue that is empty or not there', async () => {
    let looks = 0
    const connection = await connect()
    const counted = {
      ...connection,
      broker: (signal?: AbortSignal) => {
        looks += 1
        return connection.broker(signal)
      },
    }
    await run(createQueueWatch({ connection: counted, queue: 'orders', logger, lookMs: 10 }))
    await eventually(() => expect(looks).to.be.above(3))
    await consume('orders')
    const before = looks
    await eventually(() => expect(looks).to.be.above(before + 3))
    expect(lines.filter(({ level }) => level === 'warn')).to.deep.equal([])
  })
})
