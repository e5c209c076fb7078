import { createTestVhost, eventually, type TestVhost } from '@cashflow/testing'
import { expect } from 'chai'
import type { Delivery } from '../src/index.ts'
import { cleanUp, createRig, message } from './rig.ts'

const SOON = { deadlineMs: 60_000 }

describe('topology', () => {
  let vhost: TestVhost
  beforeEach(async () => {
    vhost = await createTestVhost()
  })
  afterEach(async () => {
    await cleanUp()
    await vhost.drop()
  })

  it('declares the same topology on each connection', async () => {
    const [first, second] = [createRig([vhost.url]), createRig([vhost.url])]
    await first.publisher().whenReady()
    await second.publisher().whenReady()
    const queues = (await vhost.management.request('GET', `/queues/${vhost.name}`)) as {
      name: string
      arguments: object
    }[]
    expect(queues.map(({ name }) => name)).to.have.members(['payments', 'payments.dead'])
    expect(queues.find(({ name }) => name === 'payments')?.arguments).to.deep.equal({
      'x-queue-type': 'quorum',
      'x-delivery-limit': 100,
      'x-dead-letter-exchange': 'payments.dead',
      'x-dead-letter-strategy': 'at-least-once',
      'x-overflow': 'reject-publish',
    })
    expect(queues.find(({ name }) => name === 'payments.dead')?.arguments).to.deep.equal({
      'x-queue-type': 'quorum',
      'x-delivery-limit': 1_000_000,
    })
    const bindings = (await vhost.management.request('GET', `/bindings/${vhost.name}`)) as Record<string, string>[]
    expect(
      bindings.filter(({ source }) => source).map((it) => `${it.source} ${it.routing_key} ${it.destination}`),
    ).to.have.members([
      'payments payment.created payments',
      'payments payment.retry payments',
      'payments.dead  payments.dead',
    ])
  })

  // Promise 37
  it('shares nothing with the topology of another queue on the same vhost', async () => {
    const [orders, invoices] = [
      createRig([vhost.url], { queue: 'orders' }),
      createRig([vhost.url], { queue: 'invoices' }),
    ]
    const heard = { orders: [] as string[], invoices: [] as string[] }
    const hear = (name: keyof typeof heard) => async (delivery: Delivery) => {
      heard[name].push(`${delivery.messageId}`)
      return 'reject' as const
    }
    const dead = { orders: [] as string[], invoices: [] as string[] }
    for (const [name, rig] of [
      ['orders', orders],
      ['invoices', invoices],
    ] as const) {
      rig.consumer(hear(name))
      rig.consumer(
        async ({ messageId }) => {
          dead[name].push(`${messageId}`)
          return 'ack'
        },
        { from: `${name}.dead` },
      )
    }
    // A new queue may have no leader yet and refuse a message, which is then published again.
    const publish = async (rig: typeof orders, name: string) => {
      const publisher = rig.publisher()
      for (const topic of ['payment.created', 'payment.retry'])
        await eventually(async () => {
          const outcomes = await publisher.publish([message({ messageId: `${name} ${topic}`, topic })], SOON)
          expect(outcomes).to.deep.equal([{ status: 'confirmed' }])
        })
    }
    await Promise.all([publish(orders, 'order'), publish(invoices, 'invoice')])
    await eventually(() => {
      expect([...new Set(dead.orders)]).to.have.members(['order payment.created', 'order payment.retry'])
      expect([...new Set(dead.invoices)]).to.have.members(['invoice payment.created', 'invoice payment.retry'])
    })
    expect(new Set(heard.orders)).to.deep.equal(new Set(dead.orders))
    expect(new Set(heard.invoices)).to.deep.equal(new Set(dead.invoices))
  })

  it('delivers each topic to its own queue when two queues share an exchange', async () => {
    const payments = createRig([vhost.url])
    const receipts = createRig([vhost.url], { queue: 'receipts', exchange: 'payments', topics: ['receipt.requested'] })
    const received: string[] = []
    const receive = (queue: string) => async (delivery: Delivery) => {
      received.push(`${queue}: ${delivery.topic}`)
      return 'ack' as const
    }
    payments.consumer(receive('payments'))
    await receipts.consumer(receive('receipts')).whenAccepted()
    const publisher = payments.publisher()
    for (const topic of ['payment.created', 'receipt.requested'])
      await eventually(async () => {
        expect(await publisher.publish([message({ topic })], SOON)).to.deep.equal([{ status: 'confirmed' }])
      })
    await eventually(() =>
      expect([...new Set(received)]).to.have.members(['payments: payment.created', 'receipts: receipt.requested']),
    )
  })
})
