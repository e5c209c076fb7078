import { createTestVhost, eventually, HOSTILE_PROPERTIES, publishRaw, type TestVhost } from '@cashflow/testing'
import { expect } from 'chai'
import type { Delivery } from '../src/index.ts'
import { cleanUp } from './cleanup.ts'
import { createFakeBroker, delivered, returned } from './fake-broker.ts'
import { message } from './message.ts'
import { createRig, onChannel } from './rig.ts'

const SOON = { deadlineMs: 60_000 }

describe('a message with hostile properties', () => {
  afterEach(cleanUp)

  it('is delivered once where RabbitMQ takes it, and costs neither its connection nor its channel', async () => {
    const vhost: TestVhost = await createTestVhost()
    try {
      const rig = createRig([vhost.url])
      const bodies: string[] = []
      rig.consumer(async ({ body }) => {
        bodies.push(body.toString())
        return 'ack'
      })
      const publisher = rig.publisher()
      await publisher.whenReady()
      const taken: string[] = []
      for (const [what, properties] of Object.entries(HOSTILE_PROPERTIES)) {
        const answer = await publishRaw(vhost.url, 'payments', properties, what)
        if (answer === 'taken') taken.push(what)
      }
      expect(taken).to.include.members(['arrays, 6,000 deep', 'tables, 6,000 deep'])
      await publisher.publish([message({ body: 'healthy' })], SOON)
      await eventually(() => expect(bodies).to.deep.equal([...taken, 'healthy']))
      expect(rig.logger.said('connected to RabbitMQ')).to.have.length(1)
      expect(rig.logger.said('lost a RabbitMQ channel')).to.deep.equal([])
    } finally {
      await cleanUp()
      await vhost.drop()
    }
  })

  for (const [what, properties] of Object.entries(HOSTILE_PROPERTIES)) {
    it(`(${what}) is a delivery that can be settled, also where a broker lets it through`, async () => {
      const broker = await createFakeBroker('consume', delivered(properties, 'body'))
      const rig = createRig([broker.url])
      const deliveries: Delivery[] = []
      rig.consumer(async (delivery) => {
        deliveries.push(delivery)
        return 'ack'
      })
      await eventually(() => expect(broker.acks).to.equal(1))
      expect(deliveries.map(({ body }) => body.toString())).to.deep.equal(['body'])
      expect(rig.logger.said('lost the connection to RabbitMQ')).to.deep.equal([])
    })

    it(`(${what}) that is returned costs a publisher nothing`, async () => {
      const broker = await createFakeBroker('confirm.select', returned(properties, 'body'))
      const rig = createRig([broker.url])
      await rig.publisher().whenReady()
      await new Promise(setImmediate)
      expect(broker.struck).to.equal(true)
      expect(rig.logger.said('lost the connection to RabbitMQ')).to.deep.equal([])
      expect(broker.channels).to.equal(1)
    })
  }

  it('keeps what stands before the part that cannot be read, and is null below 64 levels', async () => {
    const vhost = await createTestVhost()
    try {
      const rig = createRig([vhost.url])
      const deliveries: Delivery[] = []
      rig.consumer(async (delivery) => {
        deliveries.push(delivery)
        return 'ack'
      })
      await rig.publisher().whenReady()
      let deep: unknown = 'bottom'
      for (let level = 0; level < 100; level++) deep = [deep]
      await onChannel(vhost.url, async (channel) => {
        channel.sendToQueue('payments', Buffer.from('x'), {
          headers: { before: 'a', deep, after: 'b' },
          messageId: 'm',
        })
        await eventually(() => expect(deliveries).to.have.length(1))
      })
      const [delivery] = deliveries
      expect(delivery).to.include({ messageId: 'm' })
      expect(delivery?.headers).to.include({ before: 'a', after: 'b' })
      let level = delivery?.headers.deep as unknown[] | null
      let depth = 0
      for (; level !== null; depth++) level = level[0] as unknown[] | null
      expect(depth).to.equal(64)
    } finally {
      await cleanUp()
      await vhost.drop()
    }
  })
})

describe('a large body', () => {
  afterEach(cleanUp)

  it('is kept in part by a consumer with a limit, which is told of its size', async () => {
    const vhost = await createTestVhost()
    try {
      const rig = createRig([vhost.url])
      const deliveries: Delivery[] = []
      rig.consumer(
        async (delivery) => {
          deliveries.push(delivery)
          return 'ack'
        },
        { bodyBytesMax: 200_000 },
      )
      const bodies = ['x'.repeat(5_000_000), 'y'.repeat(200_000), 'z'.repeat(200_001), 'small', '']
      await rig.publisher().publish(
        bodies.map((body) => message({ body })),
        SOON,
      )
      await eventually(() => expect(deliveries).to.have.length(bodies.length))
      expect(deliveries.map(({ bytes }) => bytes)).to.deep.equal(bodies.map(({ length }) => length))
      for (const [index, { body }] of deliveries.entries()) {
        expect(body.toString() === bodies[index]?.slice(0, 200_000), bodies[index]?.slice(0, 1)).to.equal(true)
        if (body.length === 200_000) expect(body.buffer.byteLength, 'no frames are held').to.be.below(400_000)
      }
    } finally {
      await cleanUp()
      await vhost.drop()
    }
  })
})
