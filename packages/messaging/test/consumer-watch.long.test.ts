import { defined } from '@cashflow/async'
import { createTestVhost, eventually, type TestVhost } from '@cashflow/testing'
import { expect } from 'chai'
import type { AckDecision } from '../src/index.ts'
import { createFakeBroker, queueDeclared } from './fake-broker.ts'
import { cleanUp, createProxy, createRig, depth, message } from './rig.ts'

const SOON = { deadlineMs: 60_000 }
const SUBSCRIBES_AGAIN = 'RabbitMQ delivers nothing although the queue has messages, subscribing again'
const watchTimes = { quietMs: 100, quietMaxMs: 400, secondLookMs: 50, lookDeadlineMs: 30_000 }

describe('consumer watch', () => {
  afterEach(cleanUp)

  // Promise 47
  it('subscribes again at growing intervals while nothing is delivered, and logs each attempt', async () => {
    const broker = await createFakeBroker(undefined, undefined, { 'queue.look': queueDeclared(7) })
    const rig = createRig([broker.url])
    rig.consumer(async () => 'ack', { watchTimes })
    const lines = () => rig.logger.logged(SUBSCRIBES_AGAIN)
    await eventually(() => expect(lines().length).to.be.at.least(5))
    const fields = lines().map((line) => line.fields)
    expect(lines().every(({ level }) => level === 'error')).to.equal(true)
    expect(fields.slice(0, 5).map(({ attempts }) => attempts)).to.deep.equal([1, 2, 3, 4, 5])
    expect(fields[0]).to.include({ queue: 'payments', ready_messages: 7 })
    const idle = fields.map(({ idle_ms }) => idle_ms as number)
    const waits = idle.slice(1, 5).map((ms, index) => ms - defined(idle[index], 'earlier idle time'))
    for (const [index, atLeast] of [250, 450, 450, 450].entries()) expect(waits[index]).to.be.at.least(atLeast - 10)
    // One channel consumes, one may look at the queue, and one may be closing.
    expect(broker.channels).to.be.at.most(3)
    expect(rig.logger.logged('lost the connection to RabbitMQ')).to.deep.equal([])
  })

  it('leaves no channel open when a look at the queue gets no answer', async () => {
    const broker = await createFakeBroker(undefined, undefined, { 'queue.look': undefined })
    const rig = createRig([broker.url])
    rig.consumer(async () => 'ack', { watchTimes: { ...watchTimes, lookDeadlineMs: 100 } })
    await eventually(() => expect(broker.consumers).to.be.at.least(3))
    expect(rig.logger.logged(SUBSCRIBES_AGAIN)).to.deep.equal([])
    expect(rig.logger.logged('lost the connection to RabbitMQ')[0]?.fields.reason).to.equal(
      'setting up a channel took longer than 100 ms',
    )
  })

  describe('with a healthy consumer', () => {
    let vhost: TestVhost
    beforeEach(async () => {
      vhost = await createTestVhost()
    })
    afterEach(async () => {
      await cleanUp()
      await vhost.drop()
    })

    /** Collects the signals of the deliveries: all deliveries of a channel have the same one. */
    function consume({ prefetch = 10, url = vhost.url, handle = async (): Promise<AckDecision> => 'ack' } = {}) {
      const rig = createRig([url])
      const signals = new Set<AbortSignal>()
      let handled = 0
      rig.consumer(
        async ({ signal }) => {
          signals.add(signal)
          const decision = await handle()
          handled++
          return decision
        },
        { prefetch, watchTimes },
      )
      return { rig, signals, handled: () => handled }
    }
    const untouched = ({ rig, signals }: ReturnType<typeof consume>) => {
      expect(rig.logger.logged(SUBSCRIBES_AGAIN)).to.deep.equal([])
      expect(signals.size).to.equal(1)
    }
    const quiet = (times: number) => passing(times * (watchTimes.quietMs + watchTimes.secondLookMs))

    it('keeps the subscription to a busy queue', async () => {
      const consumer = consume()
      const publisher = consumer.rig.publisher()
      for (let batch = 1; batch <= 20; batch++) {
        await publisher.publish(
          Array.from({ length: 100 }, () => message()),
          SOON,
        )
        await quiet(0.5)
      }
      await eventually(() => expect(consumer.handled()).to.equal(2_000))
      untouched(consumer)
    })

    it('keeps the subscription of a consumer at its prefetch while messages are ready', async () => {
      const free = Promise.withResolvers<AckDecision>()
      const consumer = consume({ prefetch: 2, handle: () => free.promise })
      await consumer.rig.publisher().publish([message(), message(), message()], SOON)
      await eventually(async () => expect(await depth(vhost.url, 'payments')).to.equal(1))
      await quiet(6)
      free.resolve('ack')
      await eventually(() => expect(consumer.handled()).to.equal(3))
      untouched(consumer)
    })

    it('keeps the subscription to an empty queue', async () => {
      const consumer = consume()
      const publisher = consumer.rig.publisher()
      await publisher.publish([message()], SOON)
      await quiet(6)
      await publisher.publish([message()], SOON)
      await eventually(() => expect(consumer.handled()).to.equal(2))
      untouched(consumer)
    })

    it('keeps the subscription when the broker is slow to answer', async () => {
      const proxy = await createProxy(vhost.url)
      const consumer = consume({ url: proxy.url })
      const publisher = createRig([vhost.url]).publisher()
      await publisher.publish([message()], SOON)
      await eventually(() => expect(consumer.handled()).to.equal(1))
      proxy.freeze()
      await publisher.publish([message()], SOON)
      await quiet(6)
      untouched(consumer)
    })
  })
})

/** A time in which something must not happen: there is no fact to wait on. */
function passing(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
