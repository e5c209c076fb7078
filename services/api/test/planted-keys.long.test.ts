import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { defined, eventually } from '@cashflow/async'
import { createDatabase } from '@cashflow/db'
import { createTestDatabase, nullLogger, REPOSITORY, startPipeline } from '@cashflow/testing'
import { expect } from 'chai'
import { createKey, inventedKey, PEPPER } from './auth/merchant-keys.ts'
import { sendRaw } from './raw-request.ts'

const HEADERS = [
  'Authorization',
  'Request-Id',
  'X-Request-Id',
  'X-Api-Key',
  'User-Agent',
  'Cookie',
  'Referer',
  'X-Forwarded-For',
  'Idempotency-Key',
  'Prefer',
  'If-None-Match',
  'traceparent',
  'Content-Type',
  'Expect',
]

const percentEncoded = (text: string) => Buffer.from(text).toString('hex').replace(/../g, '%$&')

interface Planting {
  /** The key of a merchant. */
  key: string
  /** Makes another key, to be put somewhere. */
  plant: () => string
}

async function send(url: string, lines: string[], body = '') {
  const head = [...lines, 'Host: x', 'Connection: close', `Content-Length: ${Buffer.byteLength(body)}`]
  return await sendRaw(url, { bytes: Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`) })
}

/** Sends requests that have a key at every place where a client may put one. */
async function plantKeys(url: string, { key, plant }: Planting) {
  const authorization = `Authorization: Bearer ${key}`
  const statusOf = async (lines: string[]) => (await send(url, lines)).status
  const paths = [
    `/payments/${plant()}`,
    `/${plant()}?key=${plant()}`,
    `/payments/${percentEncoded(plant())}`,
    `/payments/${plant().replaceAll('_', '%255F')}`,
    `/${'x'.repeat(490)}/${plant()}`, // The log cuts it off.
  ]
  for (const path of paths) {
    expect(await statusOf([`GET ${path} HTTP/1.1`])).to.equal(401)
    expect(await statusOf([`GET ${path} HTTP/1.1`, authorization])).to.equal(404)
  }
  expect(await statusOf([`${plant()} / HTTP/1.1`])).to.equal(400)
  for (const name of HEADERS) {
    await send(url, ['GET /payments/x HTTP/1.1', `${name}: ${plant()}`])
    if (name !== 'Authorization') await send(url, ['GET /payments/x HTTP/1.1', authorization, `${name}: ${plant()}`])
  }
  for (const query of [`reference=${plant()}`, `idempotency_key=${plant()}`])
    expect(await statusOf([`GET /payments?${query} HTTP/1.1`, authorization]), query).to.equal(200)
  for (const name of ['status', 'currency', 'created_from', 'limit', 'cursor', plant()])
    expect(await statusOf([`GET /payments?${name}=${plant()} HTTP/1.1`, authorization]), name).to.equal(400)
  for (const name of ['type', 'limit', 'after', plant()])
    expect(await statusOf([`GET /events?${name}=${plant()} HTTP/1.1`, authorization]), name).to.equal(400)
}

/** A payment with keys in its texts. The name of metadata has the beginning of one: the whole is too long. */
const paymentOf = (plant: () => string) => ({
  ...{ amount: 1, currency: 'USD', reference: plant() },
  metadata: { note: plant(), [plant().slice(0, 40)]: plant() },
})

/** Posts payments that have keys in each header and each member, and gets the stored one. */
async function plantPayments(url: string, { key, plant }: Planting) {
  const headers = () => [
    `Authorization: Bearer ${key}`,
    `Request-Id: ${plant()}`,
    `Idempotency-Key: ${plant()}`,
    `Prefer: wait=1; note=${plant()}, ${plant()}`,
  ]
  const post = (body: object) =>
    send(url, ['POST /payments HTTP/1.1', ...headers(), 'Content-Type: application/json'], JSON.stringify(body))
  const payment = () => paymentOf(plant)
  const wrong = [
    { ...payment(), [plant()]: plant() },
    { ...payment(), amount: plant(), currency: plant() },
    { ...payment(), metadata: { [plant()]: plant() } },
    { ...payment(), metadata: { simulate: plant() } },
    { ...payment(), metadata: plant() },
  ]
  for (const body of wrong) expect((await post(body)).status).to.equal(400)
  const { status, body } = await post(payment())
  expect(status).to.equal(201)
  const path = `/payments/${body.id}`
  expect((await send(url, [`GET ${path} HTTP/1.1`, ...headers(), `If-None-Match: "${plant()}"`])).status).to.equal(200)
  const refused = await send(url, [`GET ${path}/events?${plant()}=${plant()} HTTP/1.1`, ...headers()])
  expect(refused.status).to.equal(400)
  return { postPayment: async () => (await post(payment())).status }
}

describe('API keys that clients put anywhere', function () {
  // It starts all services and commands as processes.
  this.timeout(180_000)

  // Promise 68
  it('API keys that clients put anywhere appear in no output of a service or a command', async () => {
    const database = await createTestDatabase()
    // A limit above what the test sends: with the default a new key has five requests in its first 200 ms.
    const env = { AUTH: 'api-key', KEY_PEPPER: PEPPER, RATE_LIMIT: '10000', LOG_LEVEL: 'debug' }
    const pipeline = await startPipeline({ api: 1, relay: 1, worker: 1 }, env, { database })
    const db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 2, logger: nullLogger })
    const { text: key } = await createKey({ db })
    const planted = [key]
    const plant = () => {
      planted.push(inventedKey())
      return defined(planted.at(-1), 'planted key')
    }
    const api = defined(pipeline.processes.api[0], 'api')
    const url = String((await api.logged('listening')).url)
    await plantKeys(url, { key, plant })
    const { postPayment } = await plantPayments(url, { key, plant })
    await pipeline.publish(plant())
    await pipeline.publish(JSON.stringify({ payment_id: plant() }))
    await eventually(async () => {
      const payments = await db.selectFrom('payments').select('settled_at').execute()
      const letters = await db.selectFrom('dead_letters').select('id').execute()
      expect([payments.length, payments[0]?.settled_at === null, letters.length]).to.deep.equal([1, false, 2])
    })
    const stored = await db.selectFrom('payment_events').select('request_id').execute()
    expect(JSON.stringify(stored)).not.to.include('cf_test_')
    await pipeline.db.query('alter table payments add constraint nothing_more check (false) not valid')
    expect(await postPayment()).to.equal(500)

    const run = async (file: string, ...args: string[]) => {
      const settings = { DATABASE_URL: database.url, APP_ENV: 'production', SANDBOX: 'yes', KEY_PEPPER: PEPPER }
      const ended = promisify(execFile)(process.execPath, [join(REPOSITORY, file), ...args], {
        env: settings,
        cwd: tmpdir(),
      })
      const { stdout, stderr } = await ended.catch((error: { stdout: string; stderr: string }) => error)
      return stdout + stderr
    }
    const outputs = [
      await run('db/src/migrate-main.ts'),
      await run('packages/cli/src/main.ts', 'dead', 'requeue', plant()),
      await run('packages/cli/src/main.ts', 'settle', plant()),
    ]
    await db.destroy()
    await pipeline.stop()
    const services = Object.values(pipeline.processes).flat()
    outputs.push(...services.map(({ logs, output }) => JSON.stringify([logs, output])))
    expect(outputs.join('')).to.include('cf_***').and.to.include('payment settled').and.to.include('request failed')
    expect(outputs[1]).to.include('cf_***')
    expect(outputs.filter((output) => output.includes(PEPPER))).to.deep.equal([])
    for (const text of planted) {
      const part = text.slice(24, 40)
      expect(outputs.filter((output) => output.includes(part) || output.includes(percentEncoded(part)))).to.deep.equal(
        [],
      )
    }
  })
})
