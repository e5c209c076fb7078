import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RabbitmqServer, startRabbitmq } from '@cashflow/dev-stack'
import { eventually, startStopwatch } from '@cashflow/testing'
import { expect } from 'chai'
import { cleanUp, createRig, message } from './rig.ts'

const CONFIRMED = { status: 'confirmed' }
/** Deadline for calls that have to succeed, long enough for a busy machine. */
const SOON = { deadlineMs: 60_000 }

/** Faults that need a broker for these tests alone. */
describe('publisher and consumer of a failing broker', function () {
  this.timeout(180_000)
  let dir: string
  let broker: RabbitmqServer
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cashflow-messaging-'))
    broker = await startRabbitmq({ dir })
  })
  afterEach(cleanUp)
  after(async () => {
    await broker?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  const startAgain = () => startRabbitmq({ dir, ports: { amqp: broker.port, management: broker.managementPort } })

  // Promise 22
  it('keep their connection during a memory alarm, and publish when the alarm ends', async () => {
    const rig = createRig([broker.url])
    const publisher = rig.publisher({ windowMax: 100 })
    await publisher.whenReady()
    await broker.ctl('set_vm_memory_high_watermark', 'absolute', '1')
    const overdue = await publisher.publish(
      Array.from({ length: 300 }, () => message()),
      { deadlineMs: 3_000 },
    )
    expect(overdue.every(({ status }) => status === 'unknown')).to.equal(true)
    expect(publisher.ready).to.equal(false)
    expect(rig.connection.blocked).to.equal(true)
    expect(rig.connection.ready).to.equal(true)
    const next = publisher.publish([message()], SOON)
    await broker.ctl('set_vm_memory_high_watermark', '0.6')
    expect(await next).to.deep.equal([CONFIRMED])
    expect(publisher.ready).to.equal(true)
    const { blockedMs } = rig.connection
    expect(blockedMs).to.be.above(2_000)
    expect(rig.connection.blockedMs).to.equal(blockedMs)
    // One connection throughout: blocking does not drop it.
    expect(rig.logger.logged('connected to RabbitMQ')).to.have.length(1)
    expect(rig.logger.logged('lost the connection to RabbitMQ')).to.have.length(0)
  })

  it('stop while an alarm blocks publishing', async () => {
    const rig = createRig([broker.url])
    const publisher = rig.publisher()
    await publisher.whenReady()
    await broker.ctl('set_vm_memory_high_watermark', 'absolute', '1')
    await publisher.publish([message()], { deadlineMs: 500 })
    const stopwatch = startStopwatch()
    await rig.stop()
    expect(stopwatch.stop()).to.be.below(15_000)
    await broker.ctl('set_vm_memory_high_watermark', '0.6')
  })

  it('report messages over max_message_size as oversized, and publish the others', async () => {
    await broker.ctl('eval', 'application:set_env(rabbit, max_message_size, 1000).')
    try {
      const rig = createRig([broker.url])
      const publisher = rig.publisher()
      await publisher.whenReady()
      const large = JSON.stringify('x'.repeat(1_000))
      const batch = [message(), message({ body: large }), message(), message({ body: `${large} ` }), message()]
      const outcomes = await publisher.publish(batch, SOON)
      for (const [index, outcome] of outcomes.entries()) {
        if (index === 1 || index === 3) expect(outcome).to.include({ status: 'oversized' })
        else expect(outcome.status).to.be.oneOf(['confirmed', 'unknown'])
      }
      expect(outcomes[1]).to.include({ reason: `${large.length} bytes, RabbitMQ accepts 1000` })
      expect(rig.logger.logged('RabbitMQ refuses a request of this channel'), 'no wait for an operator').to.deep.equal(
        [],
      )
      expect(await publisher.publish([message()], SOON)).to.deep.equal([CONFIRMED])
    } finally {
      await broker.ctl('eval', 'application:unset_env(rabbit, max_message_size).')
    }
  })

  it('log a warning when consumer_timeout closes a channel, and receive the message again at once', async () => {
    const limit = async (consumerTimeoutMs: number, tickMs: number) => {
      await broker.ctl('eval', `application:set_env(rabbit, consumer_timeout, ${consumerTimeoutMs}).`)
      await broker.ctl('eval', `application:set_env(rabbit, channel_tick_interval, ${tickMs}).`)
    }
    await limit(500, 100)
    try {
      const rig = createRig([broker.url], { queue: 'acknowledged late' }) // Other tests left messages in `payments`.
      let handled = 0
      rig.consumer(async ({ signal }) => {
        handled += 1
        if (handled === 1) await new Promise((resolve) => signal.addEventListener('abort', resolve))
        return 'ack'
      })
      await rig.publisher().publish([message()], SOON)
      await eventually(() => expect(handled).to.equal(2), { timeoutMs: 60_000 })
      const [line] = rig.logger.logged('an acknowledgement came too late, RabbitMQ delivers its messages again')
      expect(line).to.include({ level: 'warn' })
      expect(line?.fields).to.include({ channel: 'consumer of acknowledged late' })
      expect(line?.fields.reason).to.match(/delivery acknowledgement on channel \d+ timed out/)
      expect(line?.fields.retry_ms).to.be.at.most(100)
      expect(rig.logger.logged('RabbitMQ refuses a request of this channel')).to.deep.equal([])
    } finally {
      await limit(1_800_000, 60_000) // RabbitMQ's defaults.
    }
  })

  for (const [how, end] of [
    ['stops gracefully', () => broker.stop()],
    ['is killed', () => process.kill(broker.pid, 'SIGKILL')],
  ] as const) {
    // Promise 21
    it(`publish and consume again after the broker ${how} and starts again`, async () => {
      const rig = createRig([broker.url])
      const publisher = rig.publisher()
      const handled = new Set<string | undefined>()
      rig.consumer(async ({ messageId }) => {
        handled.add(messageId)
        return 'ack'
      })
      await publisher.publish([message({ messageId: `${how}: before` })], SOON)
      end()
      await broker.exited
      await eventually(() => expect(publisher.ready).to.equal(false))
      const during = publisher.publish([message({ messageId: `${how}: during` })], SOON)
      broker = await startAgain()
      const stopwatch = startStopwatch()
      expect(await during).to.deep.equal([CONFIRMED])
      // Three heartbeats of 10 seconds, and one second more.
      expect(stopwatch.stop()).to.be.below(31_000)
      await eventually(() => expect(handled).to.include.keys(`${how}: before`, `${how}: during`))
    })
  }
})
