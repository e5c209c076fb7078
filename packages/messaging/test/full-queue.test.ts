import { createTestVhost, eventually, type TestVhost } from '@cashflow/testing'
import { expect } from 'chai'
import { ask } from '../src/channel.ts'
import type { ConfirmPublisher, OutboundMessage, PublishOutcome } from '../src/index.ts'
import { cleanUp, createRig, message, onChannel, type Rig } from './rig.ts'

const SOON = { deadlineMs: 60_000 }
const REFUSED_MAX_MS = 500
const NEW_CHANNEL = 'RabbitMQ keeps refusing messages, opening a new channel'

describe('publisher to a full queue', () => {
  let vhost: TestVhost
  let rig: Rig
  let publisher: ConfirmPublisher
  beforeEach(async () => {
    vhost = await createTestVhost()
    rig = createRig([vhost.url])
    publisher = rig.publisher({ windowMax: 20, refusedMaxMs: REFUSED_MAX_MS })
    await publisher.whenReady()
    await vhost.management.request('PUT', `/policies/${vhost.name}/short`, {
      pattern: '^payments$',
      'apply-to': 'queues',
      definition: { 'max-length': 5 },
    })
    await eventually(async () => expect(statuses(await publish(10))).to.deep.equal(['nacked']))
  })
  afterEach(async () => {
    await cleanUp()
    await vhost.drop()
  })

  let sent: OutboundMessage[][] = []
  function publish(count: number): Promise<PublishOutcome[]> {
    const messages = Array.from({ length: count }, (_, index) =>
      message({ mandatory: true, headers: { at: `${index}` } }),
    )
    sent.push(messages)
    return publisher.publish(messages, SOON)
  }
  const statuses = (outcomes: readonly PublishOutcome[]) => [...new Set(outcomes.map(({ status }) => status))].sort()
  const rebuilt = () => rig.logger.logged(NEW_CHANNEL).length

  it('opens a new channel at intervals, with nothing in flight, on the same connection', async () => {
    const at = encodeURIComponent(vhost.name)
    await vhost.management.request('PUT', `/queues/${at}/roomy`, {
      durable: true,
      arguments: { 'x-queue-type': 'quorum' },
    })
    await vhost.management.request('POST', `/bindings/${at}/e/payments/q/roomy`, { routing_key: 'roomy' })
    const startedAt = performance.now()
    const seen = new Set<string>()
    while (rebuilt() < 3) {
      // Concurrent calls, two of them larger than the window, and messages for another queue or for none.
      const others = [message({ topic: 'no.queue', mandatory: false }), message({ topic: 'roomy', mandatory: true })]
      const taken = publisher.publish(others, SOON)
      for (const outcomes of await Promise.all([publish(50), publish(30), publish(1)]))
        for (const status of statuses(outcomes)) seen.add(status)
      expect(statuses(await taken)).to.deep.equal(['confirmed'])
    }
    expect([...seen]).to.deep.equal(['nacked'])
    expect(performance.now() - startedAt).to.be.at.least(2 * REFUSED_MAX_MS)
    expect(rig.logger.logged('connected to RabbitMQ')).to.have.length(1)
    expect(rig.logger.logged('lost a RabbitMQ channel')).to.have.length(0)
  })

  // Promise 22
  it("publishes in order after the queue's limit is lifted", async () => {
    // RabbitMQ 3.10 does not tell a channel that has refused messages about the new limit.
    await vhost.management.request('DELETE', `/policies/${vhost.name}/short`)
    await onChannel(vhost.url, (channel) => ask((done) => channel.purgeQueue('payments', done)))
    sent = []
    const outcomes: PublishOutcome[][] = []
    await eventually(async () => {
      const now = await Promise.all([publish(50), publish(30)])
      outcomes.push(...now)
      expect(now.map(statuses)).to.deep.equal([['confirmed'], ['confirmed']])
    })
    const confirmed = sent.flatMap((call, at) =>
      call.filter((_, index) => outcomes[at]?.[index]?.status === 'confirmed'),
    )
    const got = (await vhost.management.request('POST', `/queues/${vhost.name}/payments/get`, {
      count: 10_000,
      ackmode: 'ack_requeue_true',
      encoding: 'auto',
    })) as { properties: { message_id: string } }[]
    expect(got.map(({ properties }) => properties.message_id)).to.deep.equal(
      confirmed.map(({ messageId }) => messageId),
    )
  })
})
