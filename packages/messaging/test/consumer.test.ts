import { createTestVhost, eventually, startStopwatch, type TestVhost } from '@cashflow/testing'
import { expect } from 'chai'
import { ask } from '../src/channel.ts'
import type { AckDecision, Delivery } from '../src/index.ts'
import { cleanUp, createProxy, createRig, depth, message, onChannel, type Rig } from './rig.ts'

/** Deadline for calls that have to succeed, long enough for a busy machine. */
const SOON = { deadlineMs: 60_000 }

describe('consumer', () => {
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

  it('receives a published message with its properties', async () => {
    const deliveries: Delivery[] = []
    rig.consumer(async (delivery) => {
      deliveries.push(delivery)
      return 'ack'
    })
    const sent = message({ headers: { 'x-request-id': 'request-1' } })
    await rig.publisher().publish([sent], SOON)
    await eventually(() => expect(deliveries).to.have.length(1))
    const [delivery] = deliveries
    expect(delivery).to.deep.include({
      messageId: sent.messageId,
      topic: 'payment.created',
      headers: { 'x-request-id': 'request-1' },
      redelivered: false,
    })
    expect(delivery?.body.toString()).to.equal(sent.body)
  })

  it('moves a rejected message to the dead letter queue', async () => {
    const dead: Delivery[] = []
    rig.consumer(async () => 'reject')
    rig.consumer(
      async (delivery) => {
        dead.push(delivery)
        return 'ack'
      },
      { from: 'payments.dead' },
    )
    const sent = message()
    await rig.publisher().publish([sent], SOON)
    await eventually(() => expect(dead.map(({ messageId }) => messageId)).to.deep.equal([sent.messageId]))
    expect(dead[0]?.topic).to.equal('payment.created')
  })

  it('leaves a message unsettled, and another consumer receives it', async () => {
    const left: Delivery[] = []
    const first = rig.consumer(async (delivery) => {
      left.push(delivery)
      return 'leave'
    })
    const sent = message()
    await rig.publisher().publish([sent], SOON)
    await eventually(() => expect(left).to.have.length(1))
    const stopwatch = startStopwatch()
    await first.stop()
    expect(stopwatch.stop(), 'its deadline').to.be.below(10_000)
    expect(left).to.have.length(1)

    const again: Delivery[] = []
    rig.consumer(async (delivery) => {
      again.push(delivery)
      return 'ack'
    })
    await eventually(() => expect(again.map(({ messageId }) => messageId)).to.deep.equal([sent.messageId]))
    expect(again[0]?.redelivered).to.equal(true)
  })

  // Promise 23
  it('handles at most its prefetch at the same time', async () => {
    const three = Promise.withResolvers<void>()
    let running = 0
    let most = 0
    let handled = 0
    rig.consumer(
      async () => {
        most = Math.max(most, ++running)
        if (running === 3) three.resolve()
        await three.promise
        await new Promise(setImmediate)
        running--
        handled++
        return 'ack'
      },
      { prefetch: 3 },
    )
    await rig.publisher().publish(
      Array.from({ length: 100 }, () => message()),
      SOON,
    )
    await eventually(() => expect(handled).to.equal(100))
    expect(most).to.equal(3)
  })

  it('acknowledges running deliveries when it is stopped, and returns the others to the queue', async () => {
    const publisher = rig.publisher()
    await publisher.publish(
      Array.from({ length: 10 }, () => message()),
      SOON,
    )
    const unfinished: (() => void)[] = []
    const consumer = rig.consumer(() => new Promise<AckDecision>((resolve) => unfinished.push(() => resolve('ack'))), {
      prefetch: 4,
    })
    await eventually(() => expect(unfinished).to.have.length(4))
    const stopped = consumer.stop()
    for (const finish of unfinished) finish()
    await stopped
    await eventually(async () => expect(await depth(vhost.url, 'payments')).to.equal(6))
    expect(unfinished).to.have.length(4)
  })

  it('acknowledges the last running deliveries before it closes its channel', async () => {
    const publisher = rig.publisher()
    await publisher.publish([message({ messageId: 'first' }), message({ messageId: 'second' })], SOON)
    const unfinished: (() => void)[] = []
    const consumer = rig.consumer(() => new Promise<AckDecision>((resolve) => unfinished.push(() => resolve('ack'))))
    await eventually(() => expect(unfinished).to.have.length(2))
    const stopped = consumer.stop()
    // Once a message stays in the queue, the broker has cancelled the consumer.
    await eventually(async () => {
      await publisher.publish([message({ messageId: 'late' })], SOON)
      expect(await depth(vhost.url, 'payments')).to.be.above(0)
    })
    for (const finish of unfinished) finish()
    await stopped
    const others: (string | undefined)[] = []
    rig.consumer(async ({ messageId }) => {
      others.push(messageId)
      return 'ack'
    })
    await publisher.publish([message({ messageId: 'last' })], SOON)
    await eventually(() => expect(others).to.include('last'))
    expect(others).to.not.include('first').and.not.include('second')
  })

  it('stops at its deadline while a handler is still running', async () => {
    // Published before the consumer starts, so that the delivery arrives after the consumer's setup.
    await rig.publisher().publish([message()], SOON)
    const signals: AbortSignal[] = []
    const consumer = rig.consumer(({ signal }) => {
      signals.push(signal)
      return new Promise(() => {})
    })
    await eventually(() => expect(signals).to.have.length(1))
    await consumer.stop({ deadlineMs: 100 })
    expect(signals[0]?.aborted).to.equal(true)
    expect(rig.logger.logged('unfinished deliveries return to their queue')[0]?.fields).to.include({ deliveries: 1 })
    await eventually(async () => expect(await depth(vhost.url, 'payments')).to.equal(1))
  })

  it('receives a delivery again after its handler threw', async () => {
    const redelivered: boolean[] = []
    rig.consumer(async (delivery) => {
      redelivered.push(delivery.redelivered)
      if (redelivered.length === 1) throw new Error('a bug')
      return 'ack'
    })
    await rig.publisher().publish([message()], SOON)
    await eventually(() => expect(redelivered).to.deep.equal([false, true]))
    expect(rig.logger.logged('the handler of a delivery threw')).to.have.length(1)
  })

  it('never settles a delivery on a channel other than its own', async () => {
    const proxy = await createProxy(vhost.url)
    const cut = createRig([proxy.url])
    const deliveries: Delivery[] = []
    const unfinished: (() => void)[] = []
    cut.consumer((delivery) => {
      deliveries.push(delivery)
      return new Promise((resolve) => unfinished.push(() => resolve('ack')))
    })
    await rig.publisher().publish([message({ messageId: 'a' }), message({ messageId: 'b' })], SOON)
    await eventually(() => expect(deliveries).to.have.length(2))
    proxy.reset()
    await eventually(() => expect(deliveries).to.have.length(4))
    expect(deliveries.map(({ signal }) => signal.aborted)).to.deep.equal([true, true, false, false])
    // Decisions on deliveries of the first channel. On the second channel, their tags mean the running deliveries.
    for (const finish of unfinished.slice(0, 2)) finish()
    await rig.publisher().publish([message({ messageId: 'c' })], SOON)
    await eventually(() => expect(deliveries).to.have.length(5))
    proxy.reset()
    await eventually(() => expect(deliveries).to.have.length(8))
    expect(deliveries.slice(5).map(({ messageId }) => messageId)).to.have.members(['a', 'b', 'c'])
    for (const finish of unfinished) finish()
    await eventually(async () => expect(await depth(vhost.url, 'payments')).to.equal(0))
  })

  // Promise 22
  it('declares its queue again and consumes after the queue is deleted', async () => {
    const handled: (string | undefined)[] = []
    rig.consumer(async ({ messageId }) => {
      handled.push(messageId)
      return 'ack'
    })
    const publisher = rig.publisher()
    await publisher.publish([message({ messageId: 'before' })], SOON)
    await eventually(() => expect(handled).to.deep.equal(['before']))
    await onChannel(vhost.url, (channel) => ask((done) => channel.deleteQueue('payments', {}, done)))
    await eventually(() =>
      expect(rig.logger.logged('lost a RabbitMQ channel')[0]?.fields).to.include({
        reason: 'the broker cancelled the consumer',
      }),
    )
    await eventually(async () => {
      await publisher.publish([message({ messageId: 'after' })], SOON)
      expect(handled).to.include('after')
    })
  })
})
