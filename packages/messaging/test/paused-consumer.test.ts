import { createTestVhost, eventually, type TestVhost } from '@cashflow/testing'
import { expect } from 'chai'
import { ask } from '../src/channel.ts'
import type { AckDecision, Consumer, Delivery } from '../src/index.ts'
import { cleanUp, createProxy, createRig, message, onChannel, type Rig } from './rig.ts'

const SOON = { deadlineMs: 60_000 }
const SUBSCRIBES_AGAIN = 'RabbitMQ delivers nothing although the queue has messages, subscribing again'

describe('paused consumer', () => {
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

  const queueHas = (expected: { messageCount?: number; consumerCount?: number }) =>
    eventually(() =>
      onChannel(vhost.url, async (channel) =>
        expect(await ask<object>((done) => channel.checkQueue('payments', done))).to.include(expected),
      ),
    )
  const publish = (count: number) =>
    rig.publisher().publish(
      Array.from({ length: count }, () => message()),
      SOON,
    )

  it('consumer: a pause cancels it, lets its handlers finish, and returns the other deliveries to the queue', async () => {
    const free = Promise.withResolvers<AckDecision>()
    const begun: Delivery[] = []
    const left: Delivery[] = []
    const consumer = rig.consumer(
      async (delivery) => {
        if (begun.length === 0) {
          begun.push(delivery)
          return await free.promise
        }
        left.push(delivery)
        if (!delivery.draining.aborted)
          await new Promise((resolve) => delivery.draining.addEventListener('abort', resolve))
        return 'leave'
      },
      { prefetch: 3 },
    )
    await publish(5)
    await eventually(() => expect(begun.length + left.length).to.equal(3))
    consumer.pause()
    consumer.pause()
    await eventually(() => expect(begun[0]).to.have.nested.property('draining.aborted', true))
    expect(begun[0]?.signal.aborted, 'channel of the handler that runs').to.equal(false)
    free.resolve('ack')
    await queueHas({ messageCount: 4, consumerCount: 0 })
    expect(left).to.have.length(2)
  })

  for (const [what, end] of [
    ['pause', (consumer: Consumer) => consumer.pause()],
    ['stop', (consumer: Consumer) => void consumer.stop({ deadlineMs: 60_000 })],
  ] as const)
    it(`consumer: a ${what} returns deliveries that were not begun at once, and another consumer gets them while a handler runs`, async () => {
      const free = Promise.withResolvers<AckDecision>()
      const begun: Delivery[] = []
      const consumer = rig.consumer(
        async (delivery) => {
          begun.push(delivery)
          if (begun.length === 1) return await free.promise
          if (!delivery.draining.aborted)
            await new Promise((resolve) => delivery.draining.addEventListener('abort', resolve))
          return 'leave'
        },
        { prefetch: 3 },
      )
      await publish(3)
      await eventually(() => expect(begun).to.have.length(3))
      end(consumer)
      await queueHas({ messageCount: 2 })
      const peer = createRig([vhost.url])
      const taken = new Set<string | undefined>()
      let returnsMax = 0
      peer.consumer(async ({ messageId, headers }) => {
        taken.add(messageId)
        returnsMax = Math.max(returnsMax, Number(headers['x-delivery-count'] ?? 0))
        return 'ack'
      })
      await eventually(() => expect(taken).to.deep.equal(new Set(begun.slice(1).map(({ messageId }) => messageId))))
      expect(returnsMax, 'returns of a message to the queue').to.be.at.most(1)
      expect(begun[0]?.signal.aborted, 'channel of the handler that runs').to.equal(false)
      free.resolve('ack')
      await rig.stop()
      await peer.stop()
      await queueHas({ messageCount: 0, consumerCount: 0 })
    })

  it('consumer: a pause returns a delivery that waits for a handler of before the last pause', async () => {
    const free = Promise.withResolvers<AckDecision>()
    const begun: Delivery[] = []
    const consumer = rig.consumer(
      async (delivery) => {
        begun.push(delivery)
        return await free.promise
      },
      { prefetch: 1 },
    )
    await publish(1)
    await eventually(() => expect(begun).to.have.length(1))
    consumer.pause()
    await eventually(() => expect(begun[0]).to.have.nested.property('draining.aborted', true))
    consumer.resume()
    await publish(1)
    await queueHas({ messageCount: 0 })
    consumer.pause()
    await queueHas({ messageCount: 1 })
    expect(begun).to.have.length(1)
    free.resolve('ack')
  })

  it('consumer: receives all messages after resume, also while a handler of before the pause still runs', async () => {
    const free = Promise.withResolvers<AckDecision>()
    const acked = new Set<string | undefined>()
    let first: Delivery | undefined
    const consumer = rig.consumer(async (delivery) => {
      const { messageId } = delivery
      if (!first) {
        first = delivery
        await free.promise
      }
      acked.add(messageId)
      return 'ack'
    })
    await publish(1)
    await eventually(() => expect(first).to.not.equal(undefined))
    consumer.pause()
    await eventually(() => expect(first).to.have.nested.property('draining.aborted', true))
    await publish(3)
    await queueHas({ messageCount: 3 })
    consumer.resume()
    consumer.resume()
    await eventually(() => expect(acked.size).to.equal(3))
    free.resolve('ack')
    await queueHas({ messageCount: 0, consumerCount: 1 })
    expect(acked.size).to.equal(4)
  })

  it('consumer: one that starts paused declares its queue, is accepted, and consumes after resume', async () => {
    const received: Delivery[] = []
    const consumer = rig.consumer(
      async (delivery) => {
        received.push(delivery)
        return 'ack'
      },
      { prefetch: 1 },
    )
    consumer.pause() // It has not connected yet.
    await consumer.whenAccepted()
    await queueHas({ consumerCount: 0 })
    await publish(1)
    await queueHas({ messageCount: 1, consumerCount: 0 })
    consumer.resume()
    await eventually(() => expect(received).to.have.length(1))
  })

  it('consumer: stays paused after a lost connection, and the watch does not subscribe again', async () => {
    const proxy = await createProxy(vhost.url)
    const paused = createRig([proxy.url])
    const watchTimes = { quietMs: 20, quietMaxMs: 20, secondLookMs: 20, lookDeadlineMs: 30_000 }
    const consumer = paused.consumer(async () => 'ack', { watchTimes })
    await queueHas({ consumerCount: 1 })
    consumer.pause()
    await queueHas({ consumerCount: 0 })
    await publish(1)
    proxy.reset()
    await eventually(() => expect(paused.logger.logged('connected to RabbitMQ')).to.have.length(2))
    await eventually(() => expect(proxy.taken).to.be.at.least(2))
    await queueHas({ messageCount: 1, consumerCount: 0 })
    expect(paused.logger.logged(SUBSCRIBES_AGAIN)).to.deep.equal([])
    consumer.resume()
    await queueHas({ messageCount: 0, consumerCount: 1 })
  })

  it('consumer: stops while it is paused, and waits for a handler that still runs', async () => {
    const free = Promise.withResolvers<AckDecision>()
    const begun = Promise.withResolvers<Delivery>()
    const consumer = rig.consumer(async (delivery) => {
      begun.resolve(delivery)
      return await free.promise
    })
    await publish(1)
    const { draining, signal } = await begun.promise
    consumer.pause()
    await eventually(() => expect(draining.aborted).to.equal(true))
    let isStopped = false
    const stopping = consumer.stop().then(() => {
      isStopped = true
    })
    await queueHas({ messageCount: 0, consumerCount: 1 })
    expect([isStopped, signal.aborted]).to.deep.equal([false, false])
    free.resolve('ack')
    await stopping
    await queueHas({ messageCount: 0, consumerCount: 0 })
  })
})
