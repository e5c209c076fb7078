import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  answer,
  createTestVhost,
  eventually,
  type ScriptedServer,
  type ServiceProcess,
  startScriptedServer,
  type TestVhost,
} from '@cashflow/testing'
import { expect } from 'chai'
import { createTestWorker, publish, startHttpWorker, type TestWorker } from '../test-worker.ts'

const FOLDER = join(import.meta.dirname, '..', 'certificate')
const TOKEN = 'a-very-s3cret-token'
const PATIENTLY = { timeoutMs: 60_000 }

describe('worker with a provider behind HTTPS', () => {
  let payments: TestWorker
  let vhost: TestVhost
  let server: ScriptedServer
  let worker: ServiceProcess

  beforeEach(async () => {
    const [cert, key] = await Promise.all(
      ['certificate.pem', 'key.pem'].map((name) => readFile(join(FOLDER, name), 'utf8')),
    )
    ;[payments, vhost, server] = await Promise.all([
      createTestWorker(4),
      createTestVhost(),
      startScriptedServer({ cert: String(cert), key: String(key) }),
    ])
    server.script = (request, response) =>
      request.method === 'GET' ? answer(404)(request, response) : answer(200, { status: 'approved' })(request, response)
  })
  afterEach(async () => {
    worker.kill('SIGKILL')
    await server.close()
    await vhost.drop()
    await payments.drop()
  })

  async function createAndPublish(env: Record<string, string>): Promise<string> {
    worker = startHttpWorker({ payments, vhost, server }, { LOG_LEVEL: 'debug', PROVIDER_TOKEN: TOKEN, ...env })
    const id = await payments.pending()
    await worker.logged('ready', PATIENTLY)
    await publish(vhost, id)
    return id
  }
  const all = () => JSON.stringify([worker.logs, worker.output])

  it('asks a provider with a trusted certificate, sends the token each time, and never logs it', async () => {
    const trusted = { NODE_EXTRA_CA_CERTS: join(FOLDER, 'certificate.pem') }
    const id = await createAndPublish(trusted)
    await eventually(async () => expect((await payments.row(id)).status).to.equal('SUCCESS'), PATIENTLY)
    const again = await payments.pending()
    await payments.set(again, 'attempts = 1')
    await publish(vhost, again)
    await eventually(async () => expect((await payments.row(again)).status).to.equal('SUCCESS'), PATIENTLY)
    expect(server.seen.map(({ method, headers }) => [method, headers.authorization])).to.deep.equal([
      ['POST', `Bearer ${TOKEN}`],
      ['GET', `Bearer ${TOKEN}`],
      ['POST', `Bearer ${TOKEN}`],
    ])
    expect(await worker.stop()).to.equal(0)
    expect(all()).not.to.include(TOKEN)
  }).timeout(180_000)

  // Promise 17
  it('sends nothing to a provider with an untrusted certificate, schedules a retry, and logs the reason', async () => {
    const id = await createAndPublish({})
    const line = await worker.logged('provider gave no answer, the payment is tried again', PATIENTLY)
    expect(line.reason).to.equal('its certificate is not signed by a trusted authority (DEPTH_ZERO_SELF_SIGNED_CERT)')
    expect(await payments.row(id)).to.include({ status: 'PENDING', attempts: 1 })
    expect(server.seen).to.deep.equal([])
    expect(await worker.stop()).to.equal(0)
    expect(all()).not.to.include(TOKEN)
  }).timeout(180_000)
})
