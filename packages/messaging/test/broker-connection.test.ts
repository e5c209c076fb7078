import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { channelClose, connectionBlocked, connectionClose, createFakeBroker } from './fake-broker.ts'
import { cleanUp, createRig } from './rig.ts'

const now = () => 0

/** A fake broker, because a real one cannot be made to send a second frame with an answer. */
describe('broker connection', () => {
  afterEach(cleanUp)

  const handshake = ['protocol', 'start-ok', 'open']
  const declaring = ['channel.open', 'exchange.declare', 'queue.declare', 'queue.bind']
  const ends = {
    'an internal error (541)': connectionClose(541, 'INTERNAL_ERROR'),
    'a forced close (320)': connectionClose(320, 'CONNECTION_FORCED'),
    'the end of the channel (404)': channelClose(404, 'NOT_FOUND'),
  }

  for (const [what, end] of Object.entries(ends)) {
    const steps = end === ends['the end of the channel (404)'] ? declaring : [...handshake, ...declaring]

    // Promise 20
    it(`publishes again when ${what} arrives in one TCP segment with an answer`, async () => {
      for (const after of [...steps, 'confirm.select']) {
        const broker = await createFakeBroker(after, end)
        await createRig([broker.url], { random: now }).publisher().whenReady()
        expect(broker.extraSent, after).to.equal(true)
        await cleanUp()
      }
    })

    // Promise 20
    it(`consumes again when ${what} arrives in one TCP segment with an answer`, async () => {
      for (const after of [...steps, 'qos', 'consume']) {
        const broker = await createFakeBroker(after, end)
        createRig([broker.url], { random: now }).consumer(async () => 'ack')
        await eventually(() => expect(broker.consumers, after).to.equal(1))
        expect(broker.extraSent, after).to.equal(true)
        await cleanUp()
      }
    })
  }

  it('confirms connection.close when it arrives in one TCP segment with an answer', async () => {
    const broker = await createFakeBroker('confirm.select', ends['an internal error (541)'])
    await createRig([broker.url], { random: now }).publisher().whenReady()
    await eventually(() => expect(broker.heardCloseOk).to.equal(true))
  })

  // Promise 22
  it('broker connection is blocked when an alarm arrives in one TCP segment with an answer', async () => {
    const broker = await createFakeBroker('open', connectionBlocked('low on memory'))
    const rig = createRig([broker.url])
    await rig.connection.whenReady()
    expect(rig.connection.blocked).to.equal(true)
    expect(rig.logger.logged('RabbitMQ blocks publishing')).to.have.length(1)
  })
})
