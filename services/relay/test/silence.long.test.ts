import { eventually, openClient } from '@cashflow/testing'
import { expect } from 'chai'
import { createRelayRig, news, PATIENTLY, type RelayRig } from './relay-rig.ts'

describe('relay process that cannot publish', function () {
  this.timeout(180_000)
  let rig: RelayRig
  let operator: Awaited<ReturnType<typeof openClient>>
  beforeEach(async () => {
    rig = await createRelayRig()
    operator = await openClient(rig.database.url, { application_name: 'psql' })
  })
  afterEach(async () => {
    await operator.end()
    await rig.stop()
  })

  // Promise 63
  it('logs the session that keeps all lanes locked and the age of the oldest message, and the end of both', async () => {
    const relays = [rig.start(), rig.start()]
    for (const relay of relays) await relay.logged('ready', PATIENTLY)
    await operator.query('begin')
    await operator.query('select * from outbox_lanes for update')
    const { rows } = await operator.query('select pg_backend_pid() as pid')
    await rig.append(news(5))
    for (const relay of relays) {
      const locked = await relay.logged('another session has locked lanes, their messages wait', PATIENTLY)
      expect(locked).to.include({ level: 'warn', pid: rows[0].pid, application_name: 'psql' })
      expect(locked.lanes).to.have.length(32)
      const waiting = await relay.logged('messages wait in the outbox', PATIENTLY)
      expect(waiting).to.include({ level: 'warn', topic: 'payment.created', broker_ready: true })
      expect(waiting.lag_ms).to.be.at.least(10_000)
    }
    await operator.query('rollback')
    await eventually(async () => expect(await rig.backlog()).to.equal(0), PATIENTLY)
    for (const relay of relays) {
      await relay.logged('no other session has locked lanes any more', PATIENTLY)
      await relay.logged('messages no longer wait in the outbox', PATIENTLY)
    }
  })

  // Promise 63
  it('logs the age of the oldest message while the broker is away', async () => {
    const relay = rig.start()
    await relay.logged('ready', PATIENTLY)
    await rig.vhost.drop()
    await rig.append(news(5))
    const waiting = await relay.logged('messages wait in the outbox', PATIENTLY)
    expect(waiting).to.include({ level: 'warn', place: 'lane', broker_ready: false })
    await rig.vhost.create()
    await eventually(async () => expect(await rig.backlog()).to.equal(0), PATIENTLY)
    await relay.logged('messages no longer wait in the outbox', PATIENTLY)
  })

  // Promise 60
  it('relay is not ready before RabbitMQ accepts its declarations, and logs which one is refused', async () => {
    const { name, management } = rig.vhost
    const other = { durable: true, arguments: { 'x-queue-type': 'quorum' } }
    await management.request('PUT', `/queues/${name}/payments`, other)
    const [relay, stopped] = [rig.start(), rig.start()]
    for (const one of [relay, stopped]) {
      const refused = await one.logged('RabbitMQ refuses a request of this channel', PATIENTLY)
      expect(refused).to.include({ level: 'error', channel: 'publisher' })
      expect(refused.reason).to.match(/inequivalent arg 'x-.*' for queue 'payments'/)
    }
    expect(await stopped.stop()).to.equal(0)
    await management.request('DELETE', `/queues/${name}/payments`)
    await relay.logged('ready', PATIENTLY)
    const said = relay.logs.map(({ message }) => message)
    expect(said.indexOf('ready')).to.be.above(said.indexOf('RabbitMQ refuses a request of this channel'))
    expect(stopped.logs.map(({ message }) => message)).to.not.include('ready')
  })

  it('waits, and logs an error that names the settings, when PostgreSQL or RabbitMQ refuse its login', async () => {
    const wrong = (text: string) => {
      const url = new URL(text)
      url.password = 'wrong'
      return url.href
    }
    const postgres = rig.start({ DATABASE_URL: wrong(rig.database.url) })
    const rabbitmq = rig.start({ RABBITMQ_URL: wrong(rig.vhost.url) })
    const database = await postgres.logged('waiting for PostgreSQL', PATIENTLY)
    expect(database).to.include({ level: 'error', settings: 'DATABASE_URL, or DB_USER and DB_PASSWORD' })
    const broker = await rabbitmq.logged('waiting for RabbitMQ', PATIENTLY)
    expect(broker).to.include({ level: 'error', settings: 'RABBITMQ_URL, or MQ_USER and MQ_PASSWORD' })
    expect(JSON.stringify([database, broker])).to.not.contain('wrong')
    for (const relay of [postgres, rabbitmq]) expect(await relay.stop()).to.equal(0)
  })
})
