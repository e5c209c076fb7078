import { createTestVhost, eventually, nullLogger, startStopwatch, type TestVhost } from '@cashflow/testing'
import { expect } from 'chai'
import { createConnection } from '../src/index.ts'
import { cleanUp, createProxy, createRig, message } from './rig.ts'

const CONFIRMED = { status: 'confirmed' }
const now = () => 0

describe('connection supervisor', () => {
  let vhost: TestVhost
  before(async () => {
    vhost = await createTestVhost()
  })
  afterEach(cleanUp)
  after(() => vhost.drop())

  it('shows its name in the management UI', async () => {
    const rig = createRig([vhost.url], { name: `name ${vhost.name}` })
    await rig.connection.whenReady()
    await eventually(async () => {
      const all = (await vhost.management.request('GET', '/connections')) as {
        client_properties?: { connection_name?: string }
      }[]
      expect(all.map((one) => one.client_properties?.connection_name)).to.include(`name ${vhost.name}`)
    })
  })

  it('logs an error that names the settings when RabbitMQ refuses the login, and a warning when it is unreachable', async () => {
    const wrong = new URL(vhost.url)
    wrong.password = 'wrong'
    const refused = createRig([wrong.href])
    const away = createRig(['amqp://127.0.0.1:1/'])
    for (const { logger } of [refused, away])
      await eventually(() => expect(logger.logged('waiting for RabbitMQ')).to.have.length(1))
    expect(refused.logger.lines[0]).to.include({ level: 'error' })
    expect(refused.logger.lines[0]?.fields).to.include({ settings: 'RABBITMQ_URL, or MQ_USER and MQ_PASSWORD' })
    expect(refused.logger.lines[0]?.fields.reason).to.contain('ACCESS_REFUSED')
    expect(away.logger.lines[0]).to.include({ level: 'warn' })
    expect(away.logger.lines[0]?.fields).to.not.have.property('settings')
  })

  // Promise 21
  it('connects again after a cut at any point of its setup', async function () {
    this.timeout(180_000)
    const proxy = await createProxy(vhost.url)
    for (let bytes = 1; bytes <= 900; bytes += 9) {
      proxy.cutAfterBytes(bytes)
      const rig = createRig([proxy.url], { random: now })
      const publisher = rig.publisher()
      rig.consumer(async () => 'ack')
      const takenBefore = proxy.taken
      await eventually(
        () => {
          // If the setup needs fewer bytes, the confirm of this message reaches the cut.
          publisher.publish([message()], { deadlineMs: 1_000 })
          expect(proxy.taken).to.be.at.least(takenBefore + 2)
        },
        { intervalMs: 5 },
      )
      proxy.restore()
      // If the cut comes after the setup, the outcome of this message is unknown.
      await eventually(async () =>
        expect(await publisher.publish([message()], { deadlineMs: 5_000 }), `cut after ${bytes} bytes`).to.deep.equal([
          CONFIRMED,
        ]),
      )
      await rig.stop()
    }
  })

  // Promise 21
  it('tries the next broker when one does not answer', async () => {
    const hole = await createProxy(vhost.url)
    hole.freeze()
    const rig = createRig([hole.url, vhost.url], { connectTimeoutMs: 1_000 })
    await rig.connection.whenReady()
    expect(rig.logger.logged('waiting for RabbitMQ')[0]?.fields).to.include({
      host: new URL(hole.url).host + new URL(hole.url).pathname,
      reason: 'connecting took longer than 1000 ms',
    })
  })

  // Promise 21
  it('detects a silent broker by its heartbeats, and connects again when the broker answers', async () => {
    const proxy = await createProxy(vhost.url)
    const rig = createRig([proxy.url], { heartbeatSeconds: 1, connectTimeoutMs: 2_000, random: now })
    const publisher = rig.publisher()
    await publisher.whenReady()
    proxy.freeze()
    const silence = startStopwatch()
    await eventually(() =>
      expect(rig.logger.logged('lost the connection to RabbitMQ')[0]?.fields).to.include({
        reason: 'Heartbeat timeout',
      }),
    )
    expect(silence.stop()).to.be.below(4_000)
    proxy.restore()
    expect(await publisher.publish([message()], { deadlineMs: 60_000 })).to.deep.equal([CONFIRMED])
  })

  it('stops at once while an attempt to connect is running', async () => {
    const hole = await createProxy(vhost.url)
    hole.freeze()
    const rig = createRig([hole.url], { connectTimeoutMs: 60_000 })
    const waiting = rig.connection.whenReady()
    await eventually(() => expect(hole.taken).to.equal(1))
    const startedAt = performance.now()
    await Promise.all([
      rig.stop(),
      waiting.then(
        () => 'ready',
        (error: Error) => error.message,
      ),
    ]).then(([, answer]) => expect(answer).to.equal('the connection to RabbitMQ was stopped'))
    expect(performance.now() - startedAt).to.be.below(20_000)
  })

  it('stops while the broker is silent', async () => {
    const proxy = await createProxy(vhost.url)
    const rig = createRig([proxy.url])
    await rig.publisher().whenReady()
    proxy.freeze()
    const startedAt = performance.now()
    await rig.stop()
    expect(performance.now() - startedAt).to.be.below(15_000)
  })

  it('logs an outage once, and its end', async () => {
    const proxy = await createProxy(vhost.url)
    proxy.cutAfterBytes(1)
    const rig = createRig([proxy.url], { random: now })
    await eventually(() => expect(proxy.taken).to.be.above(3))
    proxy.restore()
    await rig.connection.whenReady()
    expect(rig.logger.lines.map(({ message }) => message)).to.deep.equal([
      'waiting for RabbitMQ',
      'connected to RabbitMQ',
    ])
  })

  it('connects again when an operator closes the connection', async () => {
    const rig = createRig([vhost.url], { name: `closed ${vhost.name}` })
    const publisher = rig.publisher()
    await publisher.whenReady()
    await eventually(async () => {
      const all = (await vhost.management.request('GET', '/connections')) as {
        name: string
        user_provided_name?: string
      }[]
      const ours = all.find((one) => one.user_provided_name === `closed ${vhost.name}`)
      if (!ours) throw new Error('not listed yet')
      await vhost.management.request('DELETE', `/connections/${encodeURIComponent(ours.name)}`)
    })
    await eventually(() => expect(rig.logger.logged('lost the connection to RabbitMQ')).to.have.length(1))
    expect(await publisher.publish([message()], { deadlineMs: 60_000 })).to.deep.equal([CONFIRMED])
    expect(rig.connection).to.include({ reconnects: 1, ready: true })
  })

  it('logs no password', async () => {
    const url = new URL(vhost.url)
    url.password = 'hunter2'
    const rig = createRig([url.href])
    await eventually(() => expect(rig.logger.logged('waiting for RabbitMQ')).to.have.length(1))
    expect(JSON.stringify(rig.logger.lines)).to.contain('ACCESS_REFUSED').and.not.contain('hunter2')
    await rig.stop()
    const invalid = () => createConnection({ urls: ['redis://u:hunter2@host'], name: 'test', logger: nullLogger })
    expect(invalid).to.throw(TypeError, 'RabbitMQ URL 1 is not an amqp:// or amqps:// URL')
  })
})
