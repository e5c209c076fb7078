import { createTestVhost, eventually, HOSTILE_PROPERTIES, publishRaw, type TestVhost } from '@cashflow/testing'
import { expect } from 'chai'
import type { Delivery } from '../src/index.ts'
import { createFakeBroker, delivered, returned } from './fake-broker.ts'
import { cleanUp, createRig, message, onChannel } from './rig.ts'

const SOON = { deadlineMs: 60_000 }

describe('client that receives hostile properties', () => {
  afterEach(cleanUp)

  // Promise 48
  it('receives each message that RabbitMQ accepts once, and keeps its connection and its channel', async () => {
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
      expect(rig.logger.logged('connected to RabbitMQ')).to.have.length(1)
      expect(rig.logger.logged('lost a RabbitMQ channel')).to.deep.equal([])
    } finally {
      await cleanUp()
      await vhost.drop()
    }
  })

  for (const [what, properties] of Object.entries(HOSTILE_PROPERTIES)) {
    // Promise 48
    it(`settles a delivery with hostile properties: ${what}`, async () => {
      const broker = await createFakeBroker('consume', delivered(properties, 'body'))
      const rig = createRig([broker.url])
      const deliveries: Delivery[] = []
      rig.consumer(async (delivery) => {
        deliveries.push(delivery)
        return 'ack'
      })
      await eventually(() => expect(broker.acks).to.equal(1))
      expect(deliveries.map(({ body }) => body.toString())).to.deep.equal(['body'])
      expect(rig.logger.logged('lost the connection to RabbitMQ')).to.deep.equal([])
    })

    // Promise 48
    it(`keeps its connection when a message with hostile properties is returned: ${what}`, async () => {
      const broker = await createFakeBroker('confirm.select', returned(properties, 'body'))
      const rig = createRig([broker.url])
      await rig.publisher().whenReady()
      await new Promise(setImmediate)
      expect(broker.extraSent).to.equal(true)
      expect(rig.logger.logged('lost the connection to RabbitMQ')).to.deep.equal([])
      expect(broker.channels).to.equal(1)
    })
  }

  it('decodes headers up to the first unreadable value, with null below 64 levels', async () => {
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

describe('consumer with a limit of body bytes', () => {
  afterEach(cleanUp)

  it('keeps the beginning of a large body, and reports the size of the whole body', async () => {
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
        if (body.length === 200_000) expect(body.buffer.byteLength, 'no reference to frames').to.be.below(400_000)
      }
    } finally {
      await cleanUp()
      await vhost.drop()
    }
  })
})
