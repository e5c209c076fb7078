import { defined } from '@cashflow/async'
import { createTestVhost, type TestVhost } from '@cashflow/testing'
import { expect } from 'chai'
import type { ConfirmPublisher, OutboundMessage, PublishOutcome } from '../src/index.ts'
import { connectionClose, createPublishingBroker, type Method, publishRefused } from './fake-broker.ts'
import { cleanUp, createRig, depth, message, type Rig } from './rig.ts'

/** Deadline for calls that have to succeed, long enough for a busy machine. */
const SOON = { deadlineMs: 60_000 }
const REJECTED = /406 .*unacceptable_type_in_header,"CC"/
const ALONE = 'RabbitMQ refused this message, it is kept until another message is confirmed'
const TOGETHER = 'RabbitMQ refused one of the messages in flight, publishing them one by one'

/** A message over which RabbitMQ closes the channel: the header `CC` has to be an array. */
const culprit = (changes: Partial<OutboundMessage> = {}) => message({ headers: { CC: 'audit' }, ...changes })
const several = (count: number) => Array.from({ length: count }, () => message())

/** Publishes messages without a final outcome again, in their order, as a relay does. Returns one status a message. */
async function publishAll(publisher: ConfirmPublisher, messages: readonly OutboundMessage[], calls = 40) {
  const final = new Map<OutboundMessage, PublishOutcome>()
  for (let call = 0; call < calls; call++) {
    const left = messages.filter((one) => !final.has(one))
    const outcomes = await publisher.publish(left, SOON)
    for (const [index, one] of left.entries()) {
      const outcome = defined(outcomes[index], 'outcome of a message')
      if (outcome.status !== 'unknown') final.set(one, outcome)
    }
    if (final.size === messages.length) break
  }
  return messages.map((one) => final.get(one)?.status ?? 'unknown')
}

describe('publisher of a message over which RabbitMQ closes the channel', () => {
  let vhost: TestVhost
  let rig: Rig
  let publisher: ConfirmPublisher
  beforeEach(async () => {
    vhost = await createTestVhost()
    rig = createRig([vhost.url])
    publisher = rig.publisher()
    await publisher.whenReady()
  })
  afterEach(async () => {
    await cleanUp()
    await vhost.drop()
  })

  it("rejects the message with the broker's reason, and confirms all others of the call", async () => {
    const messages = [...several(50), culprit(), ...several(50)]
    const [first] = await publisher.publish([defined(messages[50], 'culprit'), ...several(1)], SOON)
    expect(first, 'one of two messages').to.include({ status: 'unknown' })
    const outcomes = await publisher.publish(messages, SOON)
    expect(outcomes[50]).to.include({ status: 'rejected' })
    expect(outcomes[50]).to.have.property('reason').that.matches(REJECTED)
    expect(
      outcomes.filter(({ status }) => status === 'confirmed'),
      'the call goes on without it',
    ).to.have.length(100)
    expect(rig.logger.logged(TOGETHER)).to.have.length(1)
    expect(rig.logger.logged('RabbitMQ refuses a request of this channel'), 'no wait for an operator').to.deep.equal([])
    expect(rig.logger.logged('connected to RabbitMQ')).to.have.length(1)
  })

  it('rejects no message before another one is confirmed, and logs the suspect', async () => {
    const alone = culprit({ topic: 'payment.retry' })
    expect(await publishAll(publisher, [alone], 5)).to.deep.equal(['unknown'])
    expect(rig.logger.logged(ALONE)[0]?.fields).to.include({
      message_id: alone.messageId,
      topic: 'payment.retry',
      key: alone.key,
    })
    expect(rig.logger.logged(ALONE)[0]?.fields.reason).to.match(REJECTED)
    expect(await publisher.publish([message()], SOON)).to.deep.equal([{ status: 'confirmed' }])
    expect(await publishAll(publisher, [alone])).to.deep.equal(['rejected'])
  })

  // Promise 33
  it('sends messages of other keys before a suspect, and keeps the order of its key', async () => {
    const [before, bad, after] = [message({ key: 'k' }), culprit({ key: 'k' }), message({ key: 'k' })]
    const others = several(20)
    const messages = [before, bad, after, ...others] as OutboundMessage[]
    await publishAll(publisher, [bad], 3)
    // After a loss, only messages that were answered before it have an outcome.
    const outcomes = await publisher.publish(messages, SOON)
    expect(outcomes.map(({ status }) => status)).to.deep.equal([
      'confirmed',
      'rejected',
      'confirmed',
      ...others.map(() => 'confirmed'),
    ])
    const got = (await vhost.management.request('POST', `/queues/${vhost.name}/payments/get`, {
      count: 1_000,
      ackmode: 'ack_requeue_false',
      encoding: 'auto',
    })) as { properties: { message_id: string } }[]
    expect(got.map(({ properties }) => properties.message_id)).to.deep.equal(
      [before, ...others, after].map(({ messageId }) => messageId),
    )
  })

  it('rejects several culprits, also with one key and at the head of a call', async () => {
    const heads = Array.from({ length: 8 }, () => culprit())
    const ofOneKey = [culprit({ key: 'k' }), message({ key: 'k' }), culprit({ key: 'k' }), message({ key: 'k' })]
    const messages = [...heads, ...ofOneKey, ...several(200)]
    const statuses = await publishAll(publisher, messages)
    expect(statuses).to.deep.equal(messages.map(({ headers }) => (headers.CC ? 'rejected' : 'confirmed')))
  })

  it('delays other calls while there is a culprit, and is as fast as before without it', async () => {
    const bad = [culprit(), ...several(1_000)]
    const good = several(1_000)
    const calls = await Promise.all([publishAll(publisher, bad), publishAll(publisher, good)])
    expect(calls[0]).to.deep.equal(bad.map((_, index) => (index ? 'confirmed' : 'rejected')))
    expect(calls[1]).to.deep.equal(good.map(() => 'confirmed'))
    const losses = rig.logger.logged('lost a RabbitMQ channel').length
    const { channel } = await writesOf(publisher)
    expect(channel, 'again in a few writes').to.be.below(100)
    expect(rig.logger.logged('lost a RabbitMQ channel')).to.have.length(losses)
    expect(await depth(vhost.url, 'payments')).to.be.at.least(2_500)
  })

  /** Counts the writes to the socket for 500 messages. */
  async function writesOf(of: ConfirmPublisher): Promise<{ channel: number }> {
    const { stream } = (await rig.connection.broker()).amqp.connection as unknown as {
      stream: import('node:net').Socket
    }
    const before = stream.bytesWritten
    let writes = 0
    for (const way of ['_write', '_writev'] as const) {
      const write = stream[way]?.bind(stream) as (...given: unknown[]) => void
      stream[way] = (...given: unknown[]) => {
        writes += 1
        write(...given)
      }
    }
    const sent = several(500)
    expect(await of.publish(sent, SOON)).to.deep.equal(sent.map(() => ({ status: 'confirmed' })))
    expect(stream.bytesWritten).to.be.above(before)
    return { channel: writes }
  }
})

describe('publisher that loses its channel or its connection with messages in flight', () => {
  afterEach(cleanUp)

  async function against(...given: Parameters<typeof createPublishingBroker>) {
    const broker = await createPublishingBroker(...given)
    const rig = createRig([broker.url], { random: () => 0 })
    return { ...broker, rig, publisher: rig.publisher() }
  }

  const codes = { 501: 'FRAME_ERROR', 502: 'SYNTAX_ERROR', 505: 'UNEXPECTED_FRAME', 540: 'NOT_IMPLEMENTED' }
  for (const [code, text] of Object.entries(codes)) {
    // Promise 33
    it(`publishes one by one after ${code} of the connection, and rejects the culprit`, async () => {
      const { arrivals, publisher } = await against((topic) =>
        topic === 'bad' ? connectionClose(Number(code), text) : 'ack',
      )
      const messages = [...several(5), message({ topic: 'bad' }), ...several(5)]
      expect(await publishAll(publisher, messages)).to.deep.equal(
        messages.map(({ topic }) => (topic === 'bad' ? 'rejected' : 'confirmed')),
      )
      const firstLoss = arrivals.findIndex(({ topic }) => topic === 'bad')
      expect(arrivals[firstLoss]?.unanswered).to.be.above(0)
      expect(arrivals.slice(firstLoss + 1).map(({ unanswered }) => unanswered)).to.deep.equal(
        arrivals.slice(firstLoss + 1).map(() => 0),
      )
    })
  }

  const innocent: Record<string, Method | 'cut'> = {
    'a missing right (403)': publishRefused(403, 'ACCESS_REFUSED'),
    'a missing exchange (404)': publishRefused(404, 'NOT_FOUND'),
    'a lock (405)': publishRefused(405, 'RESOURCE_LOCKED'),
    'an internal error (541)': connectionClose(541, 'INTERNAL_ERROR'),
    'a forced close (320)': connectionClose(320, 'CONNECTION_FORCED'),
    'a cut': 'cut',
  }
  for (const [what, end] of Object.entries(innocent)) {
    // Promise 34
    it(`rejects no message after ${what}, alone in flight or with others`, async () => {
      let ends = true
      const { rig, publisher } = await against((topic) => (topic === 'bad' && ends ? end : 'ack'))
      const bad = message({ topic: 'bad' })
      expect(await publishAll(publisher, [bad], 1)).to.deep.equal(['unknown'])
      expect(await publishAll(publisher, [message()])).to.deep.equal(['confirmed'])
      expect((await publishAll(publisher, [message(), bad, message()], 1))[1]).to.equal('unknown')
      expect([...rig.logger.logged(ALONE), ...rig.logger.logged(TOGETHER)]).to.deep.equal([])
      ends = false
      expect(await publishAll(publisher, [bad])).to.deep.equal(['confirmed'])
    }).timeout(120_000)

    // Promise 34
    it(`rejects no suspect that is alone in flight after ${what}, also when others were confirmed`, async () => {
      let answer: Method | 'ack' | 'cut' = publishRefused(406, 'PRECONDITION_FAILED')
      const { arrivals, rig, publisher } = await against((topic) => (topic === 'bad' ? answer : 'ack'))
      const messages = [message({ topic: 'bad' }), ...several(3)]
      expect(await publishAll(publisher, messages, 1)).to.deep.equal(messages.map(() => 'unknown'))
      expect(rig.logger.logged(TOGETHER)).to.have.length(1)
      answer = end
      const left = ['unknown', ...several(3).map(() => 'confirmed')]
      expect(await publishAll(publisher, messages, 1)).to.deep.equal(left)
      expect(arrivals.at(-1)).to.deep.equal({ topic: 'bad', unanswered: 0 })
      answer = 'ack'
      expect(await publishAll(publisher, messages)).to.deep.equal(messages.map(() => 'confirmed'))
    }).timeout(120_000)
  }

  // Promise 34
  it('rejects no message while the broker refuses all of them, and confirms all when it accepts them again', async () => {
    let refuses = true
    const { rig, publisher } = await against(() => (refuses ? publishRefused(406, 'PRECONDITION_FAILED') : 'ack'))
    const messages = several(4)
    expect(await publishAll(publisher, messages, 6)).to.deep.equal(messages.map(() => 'unknown'))
    expect(rig.logger.logged(ALONE)).to.have.length.above(1)
    refuses = false
    expect(await publishAll(publisher, messages)).to.deep.equal(messages.map(() => 'confirmed'))
  })

  it('publishes as many suspects one by one as the deadline allows, and keeps the connection', async () => {
    const answer = (topic: string) => (topic === 'bad' ? publishRefused(406, 'PRECONDITION_FAILED') : 'ack')
    const { rig, publisher } = await against(answer, { ackAfterMs: 20 })
    const messages = [message({ topic: 'bad' }), ...several(200)]
    const final = new Map<OutboundMessage, string>()
    const calls: number[] = []
    while (final.size < messages.length) {
      const left = messages.filter((one) => !final.has(one))
      const outcomes = await publisher.publish(left, { deadlineMs: 2_000 })
      for (const [index, { status }] of outcomes.entries())
        if (status !== 'unknown') final.set(defined(left[index], 'message of an outcome'), status)
      calls.push(messages.length - final.size)
    }
    // 200 confirms take 4 s, and each call publishes suspects for one second.
    expect(calls).to.have.length.above(3)
    expect(messages.map((one) => final.get(one))).to.deep.equal(['rejected', ...several(200).map(() => 'confirmed')])
    expect(rig.logger.logged('lost the connection to RabbitMQ')).to.deep.equal([])
  })
})
