import { randomUUID } from 'node:crypto'
import { createDatabase, insertPayment, type Tables } from '@cashflow/db'
import { createPayment, DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import {
  createTestDatabase,
  createTestVhost,
  eventually,
  type ServiceProcess,
  startService,
  type TestDatabase,
  type TestVhost,
} from '@cashflow/testing'
import { expect } from 'chai'
import type { Kysely } from 'kysely'
import { answer, type ScriptedServer, startScriptedServer } from './scripted-server.ts'

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

describe('a worker whose provider is away', () => {
  let database: TestDatabase
  let vhost: TestVhost
  let db: Kysely<Tables>
  let server: ScriptedServer
  let worker: ServiceProcess

  before(async () => {
    ;[database, vhost, server] = await Promise.all([createTestDatabase(), createTestVhost(), startScriptedServer()])
    db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 4, logger: SILENT })
  })
  after(async () => {
    worker.kill('SIGKILL')
    await server.close()
    await db.destroy()
    await vhost.drop()
    await database.drop()
  })

  async function startWorker(): Promise<void> {
    worker = startService('worker', {
      DATABASE_URL: database.url,
      RABBITMQ_URL: vhost.url,
      PROVIDER: 'http',
      PROVIDER_URL: server.url,
      PROVIDER_FAILURES_MAX: '2',
      PROVIDER_OPEN_MS: '60000',
    })
    await worker.logged('ready', { timeoutMs: 20_000 })
  }

  async function createAndPublish(): Promise<string> {
    const { payment, event } = createPayment({
      id: randomUUID(),
      merchantId: DEFAULT_MERCHANT_ID,
      reference: randomUUID(),
      money: { amountMinor: 10_050n, currency: 'USD' },
      at: new Date(),
    })
    await db
      .transaction()
      .execute((tx) => insertPayment(tx, payment, event, { requestId: 'r-1', redriveAfterMs: 60_000 }))
    const message = { properties: {}, routing_key: 'payments', payload: payment.id, payload_encoding: 'string' }
    const path = `/exchanges/${vhost.name}/amq.default/publish`
    await eventually(async () =>
      expect(await vhost.management.request('POST', path, message)).to.deep.equal({ routed: true }),
    )
    return payment.id
  }
  const attempts = async () =>
    (await db.selectFrom('payments').select(['status', 'attempts', 'claim_token']).execute()).filter(
      (row) => row.attempts > 0 || row.claim_token,
    )

  it('claims nothing more, stops when it is told to, and leaves the rest to the next worker', async () => {
    server.script = answer(503)
    await startWorker()
    await createAndPublish()
    await createAndPublish()
    await worker.logged('provider is away, nothing is claimed')
    const waiting = await Promise.all(Array.from({ length: 5 }, createAndPublish))
    const unacknowledged = async () => {
      const queue = await vhost.management.request('GET', `/queues/${vhost.name}/payments`)
      return (queue as { messages_unacknowledged?: number }).messages_unacknowledged
    }
    await eventually(async () => expect(await unacknowledged()).to.equal(5), { timeoutMs: 20_000 })
    expect(await attempts()).to.have.length(2)
    expect(server.seen).to.have.length(2)

    const startedAt = performance.now()
    expect(await worker.stop()).to.equal(0)
    expect(performance.now() - startedAt).to.be.below(5_000)
    expect(await attempts()).to.have.length(2)

    server.script = answer(200, { status: 'approved' })
    await startWorker()
    await eventually(
      async () => {
        const rows = await db.selectFrom('payments').select('status').where('id', 'in', waiting).execute()
        expect(rows.map(({ status }) => status)).to.deep.equal(waiting.map(() => 'SUCCESS'))
      },
      { timeoutMs: 20_000 },
    )
    expect(await worker.stop()).to.equal(0)
  }).timeout(180_000)
})
