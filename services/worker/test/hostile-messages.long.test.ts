import { defined } from '@cashflow/async'
import {
  createTestVhost,
  eventually,
  HOSTILE_PROPERTIES,
  publishRaw,
  type ServiceProcess,
  startService,
  type TestVhost,
} from '@cashflow/testing'
import { expect } from 'chai'
import { createTestWorker, publish, type TestWorker } from './test-worker.ts'

describe('worker that gets hostile messages', function () {
  this.timeout(120_000)
  let payments: TestWorker
  let vhost: TestVhost
  let worker: ServiceProcess
  beforeEach(async () => {
    ;[payments, vhost] = await Promise.all([createTestWorker(2), createTestVhost()])
    worker = startService('worker', {
      DATABASE_URL: payments.database.url,
      RABBITMQ_URL: vhost.url,
      PROVIDER_DELAY_MS: '0',
      PROVIDER_SUCCESS_RATE: '1',
    })
    await worker.logged('ready', { timeoutMs: 60_000 })
  })
  afterEach(async () => {
    worker.kill('SIGKILL')
    await vhost.drop()
    await payments.drop()
  })

  const letters = () => payments.db.selectFrom('dead_letters').select(['source', 'payload']).orderBy('id').execute()
  const bodies = async () => (await letters()).map(({ payload }) => (payload as { body: string }).body)
  const settled = (id: string) => eventually(async () => expect((await payments.row(id)).status).to.equal('SUCCESS'))

  for (const queue of ['payments', 'payments.dead']) {
    // Promise 48
    it(`makes one dead letter of each hostile message in ${queue}, keeps its connections, and settles payments`, async () => {
      const taken: string[] = []
      for (const [what, properties] of Object.entries(HOSTILE_PROPERTIES)) {
        if ((await publishRaw(vhost.url, queue, properties, what)) === 'taken') taken.push(what)
        const id = await payments.pending()
        await publish(vhost, id)
        await settled(id)
      }
      expect(taken).to.include.members(['arrays, 6,000 deep', 'tables, 6,000 deep'])
      await eventually(async () => expect(await bodies()).to.have.members(taken))
      await eventually(async () => {
        const queues = (await vhost.management.request('GET', `/queues/${vhost.name}`)) as { messages?: number }[]
        expect(queues.map(({ messages }) => messages)).to.deep.equal([0, 0])
      })
      const lines = worker.logs.map(({ message }) => message)
      expect(lines.filter((line) => line === 'connected to RabbitMQ')).to.have.length(2)
      expect(lines).to.not.include('lost the connection to RabbitMQ').and.not.include('lost a RabbitMQ channel')
    })
  }

  // Promise 48
  it('settles or redrives a payment that a message with hostile headers names', async () => {
    const [first, second] = await Promise.all([payments.pending(), payments.pending()])
    const deep = defined(HOSTILE_PROPERTIES['arrays, 6,000 deep'], 'hostile properties')
    expect(await publishRaw(vhost.url, 'payments', deep, first)).to.equal('taken')
    await settled(first)
    expect(await publishRaw(vhost.url, 'payments.dead', deep, second)).to.equal('taken')
    await eventually(async () => {
      const redriven = await payments.db.selectFrom('outbox_messages').select(['topic', 'key']).execute()
      expect(redriven).to.deep.include({ topic: 'payment.retry', key: second })
    })
    expect(await letters()).to.deep.equal([])
  })

  // Promise 23
  it('stores only the beginning of large bodies, with their sizes', async () => {
    const none = Buffer.from([0, 0])
    const sizes = [20_000_000, 20_000_001, 20_000_002]
    for (const size of sizes) expect(await publishRaw(vhost.url, 'payments', none, 'x'.repeat(size))).to.equal('taken')
    await eventually(async () => {
      const stored = (await letters()).map(({ payload }) => (payload as { bytes: number }).bytes)
      expect(stored).to.have.members(sizes)
    })
  })

  // Promise 48
  it('consumes the dead letter queue on a separate connection', async () => {
    await eventually(async () => {
      const at = encodeURIComponent(vhost.name)
      const consumers = (await vhost.management.request('GET', `/consumers/${at}`)) as Consumer[]
      const connections = (await vhost.management.request('GET', `/vhosts/${at}/connections`)) as Connection[]
      const names = new Map(
        connections.map(({ name, client_properties: { connection_name } }) => [name, connection_name]),
      )
      const found = consumers.map((it) => [it.queue.name, names.get(it.channel_details.connection_name)])
      expect(Object.fromEntries(found)).to.deep.equal({
        payments: 'cashflow-worker',
        'payments.dead': 'cashflow-worker-dead',
      })
    })
  })
})

interface Consumer {
  queue: { name: string }
  channel_details: { connection_name: string }
}

interface Connection {
  name: string
  client_properties: { connection_name: string }
}
