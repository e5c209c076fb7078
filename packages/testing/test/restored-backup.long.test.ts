import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { expect } from 'chai'
import { addresses } from '../src/addresses.ts'
import {
  createTestDatabase,
  createTestVhost,
  eventually,
  postTo,
  query,
  REPOSITORY,
  type Role,
  type ScriptedServer,
  type ServiceProcess,
  startScriptedServer,
  startService,
  type TestDatabase,
  type TestVhost,
} from '../src/index.ts'

/**
 * The copy of a database serves as the backup. Changes after the copy are lost with the first database.
 */
describe('restored backup with the steps of docs/operations.md', function () {
  this.timeout(240_000)
  let vhost: TestVhost
  let provider: ScriptedServer
  let database: TestDatabase
  /** The idempotency keys that the provider has charged. */
  const charged: string[] = []
  const running: ServiceProcess[] = []
  /** A payment on the provider's list, of a merchant that was created after the backup. */
  const ofMerchant = { id: '01a22819-1750-738c-94b7-000000000001', merchant: '01a22819-1750-738c-94b7-7987cfb3e8fd' }
  const ids: Record<'before' | 'charged' | 'sentAgain' | 'queued', string> = {
    before: '',
    charged: '',
    sentAgain: '',
    queued: '',
  }

  before(async () => {
    vhost = await createTestVhost()
    provider = await startProvider()
    const lost = await createTestDatabase()
    database = lost
    let url = await start('api', 'relay')
    ids.before = (await postTo(url, 'REF-before')).id
    await queued(ids.before)
    await stop()
    const backup = await createTestDatabase({ postgresUrl: addresses().postgresUrl, template: lost.name })

    url = await start('api', 'relay', 'worker')
    ids.charged = (await postTo(url, 'REF-charged')).id
    ids.sentAgain = (await postTo(url, 'REF-sent-again')).id
    await settled(ids.before, ids.charged, ids.sentAgain)
    await stop()
    url = await start('api', 'relay')
    ids.queued = (await postTo(url, 'REF-queued')).id
    await queued(ids.queued)
    await stop()
    expect(charged).to.have.members([ids.before, ids.charged, ids.sentAgain])
    charged.push(ofMerchant.id)

    await lost.drop()
    database = backup
    const [askFirst = '', storeAgain = '', storeMerchant = ''] = await recipe()
    await run(askFirst)
    // The provider's list has three lost payments. One of them is not stored again, to show the effect that the page names.
    const example = /\('[0-9a-f-]{36}'::uuid, '([0-9a-f-]{36})'::uuid, 'REF-001', 10050::bigint, 'USD'\)/
    const [, merchant = ''] = example.exec(storeAgain) ?? []
    expect(merchant).to.equal(DEFAULT_MERCHANT_ID)
    const lines = [
      `('${ids.charged}'::uuid, '${merchant}'::uuid, 'REF-charged', 10050::bigint, 'USD')`,
      `('${ofMerchant.id}', '${ofMerchant.merchant}', 'REF-charged', 500, 'ETB')`,
    ]
    const storing = storeAgain.replace(example, lines.join())
    await run(storing)
    expect(storeMerchant).to.include(ofMerchant.merchant)
    await run(storeMerchant)
    await run(storing)
    provider.seen.length = 0
    await start('relay', 'worker')
  })
  after(async () => {
    await stop()
    await provider?.close()
    await database?.drop()
    await vhost?.drop()
  })

  // Promise 52
  it('settles a payment that the backup has as PENDING, with the same key and no second charge', async () => {
    await settled(ids.before)
    expect(requests(ids.before)).to.eql([`GET /charges/${ids.before}`])
    expect(charged.filter((key) => key === ids.before)).to.have.length(1)
  })

  // Promise 52
  it('settles a lost payment that was stored again, with the same key and no second charge', async () => {
    await settled(ids.charged)
    expect(requests(ids.charged)).to.eql([`GET /charges/${ids.charged}`])
    expect(charged.filter((key) => key === ids.charged)).to.have.length(1)
  })

  // Promise 52
  it('settles a lost payment of another merchant that was stored again, for this merchant and with no second charge', async () => {
    await settled(ofMerchant.id)
    const [stored] = await run(`select merchant_id, reference, currency from payments where id = '${ofMerchant.id}'`)
    expect(stored).to.eql({ merchant_id: ofMerchant.merchant, reference: 'REF-charged', currency: 'ETB' })
    expect(requests(ofMerchant.id)).to.eql([`GET /charges/${ofMerchant.id}`])
  })

  // Promise 52
  it('makes the message of a lost payment a dead letter that names it, and charges nothing', async () => {
    await eventually(
      async () =>
        expect(await run('select source, key, reason from dead_letters')).to.eql([
          { source: 'worker', key: ids.queued, reason: 'no such payment' },
        ]),
      { timeoutMs: 60_000 },
    )
    expect(charged).not.to.include(ids.queued)
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [join(REPOSITORY, 'packages/cli/src/main.ts'), 'dead', 'list', '--json'],
      { cwd: tmpdir(), env: { ...process.env, DATABASE_URL: database.url } },
    )
    expect(JSON.parse(stdout)).to.include({ key: ids.queued })
  })

  // Promise 52
  it('answers a client’s repeated POST with 409 if the payment was stored again, else with 201 and a second charge', async () => {
    const url = await start('api')
    const gone = await fetch(`${url}/api/v1/payments/${ids.sentAgain}`)
    expect(gone.status).to.equal(404)
    expect(await postTo(url, 'REF-charged')).to.eql({ status: 409, id: ids.charged })
    const again = await postTo(url, 'REF-sent-again')
    expect(again.status).to.equal(201)
    expect(again.id).not.to.equal(ids.sentAgain)
    await settled(again.id)
    expect(charged).to.include.members([ids.sentAgain, again.id])
  })

  /** Starts a provider that charges a key once, and answers look-ups of the key. */
  async function startProvider(): Promise<ScriptedServer> {
    const server = await startScriptedServer()
    server.script = ({ method, path, headers }, response) => {
      const key = method === 'GET' ? path.split('/').at(-1) : headers['idempotency-key']
      if (method === 'POST' && !charged.includes(String(key))) charged.push(String(key))
      response.writeHead(charged.includes(String(key)) ? 200 : 404, { 'content-type': 'application/json' })
      response.end('{"status": "approved"}')
    }
    return server
  }

  const requests = (id: string) =>
    provider.seen
      .filter(({ path, headers }) => path.endsWith(id) || headers['idempotency-key'] === id)
      .map(({ method, path }) => `${method} ${path}`)

  /** Reads the statements of the page's section. */
  async function recipe(): Promise<string[]> {
    const page = await readFile(join(REPOSITORY, 'docs/operations.md'), 'utf8')
    const section = page.slice(page.indexOf('## Backup and restore'), page.indexOf('## Roles and grants'))
    return [...section.matchAll(/```sql\n([^`]*)```/g)].map(([, text]) => text ?? '')
  }

  /** Starts services on the database. Returns the URL of the API, if one was started. */
  async function start(...roles: Role[]): Promise<string> {
    const settings = { REDRIVE_AFTER_MS: '1000', RECONCILE_INTERVAL_MS: '100', PORT: '0' }
    const servers = { DATABASE_URL: database.url, RABBITMQ_URL: vhost.url }
    const provided = { PROVIDER: 'http', PROVIDER_URL: provider.url }
    const services = roles.map((role) => startService(role, { ...settings, ...servers, ...provided }))
    running.push(...services)
    await Promise.all(services.map((service) => service.logged('ready', { timeoutMs: 60_000 })))
    const api = services[roles.indexOf('api')]
    return api ? String((await api.logged('listening')).url) : ''
  }

  const stop = () => Promise.all(running.splice(0).map((service) => service.stop()))

  const run = (statement: string) => query(database.url, statement)

  const settled = (...payments: string[]) =>
    eventually(
      async () => {
        const rows = await run(`select status from payments where id in ('${payments.join("', '")}')`)
        expect(rows).to.eql(payments.map(() => ({ status: 'SUCCESS' })))
      },
      { timeoutMs: 60_000 },
    )

  /** Waits until the queue holds the message of a payment. The counts of the management API are seconds old. */
  const queued = (paymentId: string) =>
    eventually(
      async () => {
        const taken = { count: 100, ackmode: 'ack_requeue_true', encoding: 'auto' }
        const path = `/queues/${vhost.name}/payments/get`
        const got = (await vhost.management.request('POST', path, taken)) as { payload: string }[]
        expect(got.map(({ payload }) => JSON.parse(payload).payment_id)).to.include(paymentId)
      },
      { timeoutMs: 60_000 },
    )
})
