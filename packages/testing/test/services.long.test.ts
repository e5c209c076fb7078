import { expect } from 'chai'
import {
  createTestDatabase,
  createTestVhost,
  eventually,
  startService,
  type TestDatabase,
  type TestVhost,
} from '../src/index.ts'
import { type Pipeline, startPipeline } from '../src/pipeline.ts'

describe('running pipeline', () => {
  let pipeline: Pipeline
  before(async () => {
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 1 }, { LOG_LEVEL: 'debug', PROVIDER_SUCCESS_RATE: '1' })
  })
  after(() => pipeline.stop())

  async function settled(id: string): Promise<string> {
    return eventually(async () => {
      const { rows } = await pipeline.db.query('select status from payments where id = $1', [id])
      expect(rows[0]?.status).to.not.equal('PENDING')
      return rows[0].status
    })
  }

  it('carries a request’s id from its HTTP header to the log lines of relay and worker', async () => {
    const { id } = await pipeline.post('traced', { 'request-id': 'trace-me.1' })
    expect(await settled(id)).to.equal('SUCCESS')
    const [api] = pipeline.processes.api
    const [relay] = pipeline.processes.relay
    const [worker] = pipeline.processes.worker
    await eventually(() => {
      const lines = (service: typeof api) => service?.logs.filter((line) => line.request_id === 'trace-me.1') ?? []
      expect(lines(api).map(({ payment_id }) => payment_id)).to.include(id)
      const [published] = lines(relay)
      expect(published).to.include({ service: 'relay', message: 'message published', key: id })
      const done = lines(worker).find(({ message }) => message === 'payment settled')
      expect(done).to.include({
        service: 'worker',
        payment_id: id,
        message_id: published?.message_id,
        status: 'SUCCESS',
      })
    })
  })

  // Promise 2
  it('changes no settled payment when its message is delivered again, from any source', async () => {
    const { id } = await pipeline.post('again')
    await settled(id)
    const history = async () =>
      (await pipeline.db.query('select * from payment_events where payment_id = $1', [id])).rows
    const row = async () => (await pipeline.db.query('select * from payments where id = $1', [id])).rows
    const before = [await history(), await row()]
    const [worker] = pipeline.processes.worker
    const skips = () =>
      worker?.logs.filter(({ message }) => message === `Skipping payment ${id} (already SUCCESS)`).length
    for (const [index, body] of [id, JSON.stringify(id), JSON.stringify({ payment_id: id })].entries()) {
      await pipeline.publish(body)
      await eventually(() => expect(skips()).to.equal(index + 1))
    }
    expect([await history(), await row()]).to.deep.equal(before)
    expect(await history()).to.have.length(2)
  })

  // Promise 2
  it('settles a payment once when its message is published a hundred times', async () => {
    const { id } = await pipeline.post('a hundred times')
    await Promise.all(Array.from({ length: 100 }, () => pipeline.publish(id)))
    await settled(id)
    await eventually(async () => expect(await pipeline.queueDepth()).to.equal(0))
    const { rows } = await pipeline.db.query('select type from payment_events where payment_id = $1 and sequence > 1', [
      id,
    ])
    expect(rows).to.deep.equal([{ type: 'payment.succeeded' }])
  })

  // Promise 14
  it('makes an unparseable message a dead letter, and continues', async () => {
    await pipeline.publish('not a payment')
    await eventually(async () => {
      const { rows } = await pipeline.db.query('select source, topic, payload from dead_letters')
      const payload = { body: 'not a payment', encoding: 'utf8', bytes: 13 }
      expect(rows).to.deep.equal([{ source: 'queue', topic: 'payments', payload }])
    })
    await eventually(async () => expect(await pipeline.queueDepth('payments.dead')).to.equal(0))
    const { id } = await pipeline.post('after poison')
    expect(await settled(id)).to.equal('SUCCESS')
  })
})

describe('service', () => {
  let database: TestDatabase
  let vhost: TestVhost
  beforeEach(async () => {
    ;[database, vhost] = await Promise.all([createTestDatabase(), createTestVhost()])
  })
  afterEach(() => Promise.all([database.drop(), vhost.drop()]))

  for (const role of ['api', 'relay', 'worker'] as const) {
    // Promise 20
    it(`waits for PostgreSQL as ${role}, logs that it waits, and stops on SIGTERM during the wait`, async () => {
      const service = startService(role, {
        DATABASE_URL: 'postgres://u:hunter2@127.0.0.1:1/payments',
        RABBITMQ_URL: vhost.url,
      })
      const line = await service.logged('waiting for PostgreSQL')
      expect(line.reason).to.match(/ECONNREFUSED/)
      expect(await service.stop()).to.equal(0)
      expect(JSON.stringify(service.logs)).to.not.include('hunter2')
    })

    it(`${role} does not start on an older schema`, async () => {
      const service = startService(role, {
        DATABASE_URL: new URL('/postgres', database.url).href,
        RABBITMQ_URL: vhost.url,
        PORT: '0',
      })
      expect(await service.exited).to.equal(1)
      expect(JSON.stringify(service.logs)).to.include('npm run migrate')
    })

    // Promise 57
    it(`${role} does not start where REQUIRE_STANDBY is yes and no COMMIT waits for a standby`, async () => {
      const env = { DATABASE_URL: database.url, RABBITMQ_URL: vhost.url, REQUIRE_STANDBY: 'yes' }
      const service = startService(role, { ...env, PORT: '0' })
      expect(await service.exited).to.equal(1)
      const [line] = service.logs.filter(({ message }) => message === 'could not start')
      expect(line).to.include({ level: 'error', code: 'database_setting' })
      expect(line?.reason).to.include('synchronous_standby_names is empty')
    })

    it(`names every invalid setting as ${role} in one message without a stack`, async () => {
      const service = startService(role, { DATABASE_URL: 'mysql://u:hunter2@h/d', LOG_LEVEL: 'loud' })
      expect(await service.exited).to.equal(1)
      expect(service.output.join('\n')).to.match(
        /^These settings are not usable:\n {2}DATABASE_URL: .*\n {2}LOG_LEVEL: [^\n]*$/,
      )
      expect(service.output.join('\n')).to.not.include('hunter2')
    })
  }

  for (const role of ['relay', 'worker'] as const) {
    // Promise 20
    it(`waits for RabbitMQ as ${role}, and logs that it waits, without the password`, async () => {
      const service = startService(role, {
        DATABASE_URL: database.url,
        RABBITMQ_URL: 'amqp://guest:hunter2@127.0.0.1:1/',
      })
      await service.logged('waiting for RabbitMQ')
      expect(await service.stop()).to.equal(0)
      expect(service.logs.map(({ message }) => message)).to.not.include('ready')
      expect(JSON.stringify(service.logs)).to.not.include('hunter2')
    })
  }
})
