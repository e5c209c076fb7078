import { createTestVhost, eventually, type TestVhost } from '@cashflow/testing'
import { expect } from 'chai'
import { ask } from '../src/channel.ts'
import { cleanUp, createRig, message, onChannel } from './rig.ts'

describe('topology', () => {
  let vhost: TestVhost
  before(async () => {
    vhost = await createTestVhost()
  })
  after(async () => {
    await cleanUp()
    await vhost.drop()
  })

  // Promise 22
  it('logs an error and declares the topology again after at least 5 s when RabbitMQ refuses it', async () => {
    await onChannel(vhost.url, (channel) =>
      ask((done) => channel.assertQueue('payments', { durable: true, arguments: { 'x-queue-type': 'quorum' } }, done)),
    )
    const rig = createRig([vhost.url])
    const publisher = rig.publisher()
    const refusals = () => rig.logger.logged('RabbitMQ refuses a request of this channel')
    await eventually(() => expect(refusals()).to.have.length(1))
    const { level, fields } = refusals()[0] ?? {}
    expect(level).to.equal('error')
    expect(fields?.reason).to.match(/406.*inequivalent arg 'x-.*' for queue 'payments'/)
    expect(fields?.retry_ms).to.be.at.least(5_000)
    expect(publisher.ready).to.equal(false)
    expect(rig.connection.ready).to.equal(true)
    const accepted: string[] = []
    const consumer = rig.consumer(async () => 'ack')
    publisher.whenAccepted().then(() => accepted.push('publisher'))
    consumer.whenAccepted().then(() => accepted.push('consumer'))
    await eventually(() => expect(refusals()).to.have.length(2))
    expect(accepted).to.deep.equal([])
    await onChannel(vhost.url, (channel) => ask((done) => channel.deleteQueue('payments', {}, done)))
    expect(await publisher.publish([message()], { deadlineMs: 60_000 })).to.deep.equal([{ status: 'confirmed' }])
    await eventually(() => expect(accepted).to.have.members(['publisher', 'consumer']))
  })
})
