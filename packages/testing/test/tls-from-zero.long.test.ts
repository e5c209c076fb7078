import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { defined } from '@cashflow/async'
import { expect } from 'chai'
import {
  answer,
  createAuthority,
  createTestVhost,
  eventually,
  management,
  type Pipeline,
  type RabbitmqCluster,
  type RabbitmqClusterNode,
  REPOSITORY,
  type ScriptedServer,
  startPipeline,
  startRabbitmqCluster,
  startScriptedServer,
} from '../src/index.ts'

const run = promisify(execFile)
const PATIENTLY = { timeoutMs: 60_000 }

/** Runs what docs/operations.md says about RabbitMQ, the API and the provider, on this machine's names and ports. */
describe('TLS from zero in docs/operations.md: RabbitMQ, API and provider', function () {
  this.timeout(300_000)
  const page = readFileSync(join(REPOSITORY, 'docs/operations.md'), 'utf8')
  const section = page.slice(page.indexOf('\n## TLS from zero'), page.indexOf('\n## What the logs say'))
  const blocks = (kind: string) =>
    [...section.matchAll(new RegExp(`\`\`\`${kind}\n([^\`]*)\`\`\``, 'g'))].map(([, b]) => String(b))
  let dir: string
  let cluster: RabbitmqCluster
  let node: RabbitmqClusterNode
  let provider: ScriptedServer
  let pipeline: Pipeline
  let apiUrl: string
  let settings: Record<string, string>

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cashflow-tls-'))
    await issue()
    const [conf = ''] = blocks('ini').filter((block) => block.includes('ssl_options'))
    const withTls = (port: number) => [
      `listeners.ssl.local = 127.0.0.1:${port}`,
      ...here(conf)
        .split('\n')
        .filter((line) => line.startsWith('ssl_options.')),
    ]
    cluster = await startRabbitmqCluster({ dir: join(dir, 'broker'), size: 1, settings: withTls })
    node = defined(cluster.nodes[0], 'node')
    const authority = await createAuthority(join(dir, 'provider'))
    const { cert, key } = await authority.issue('server')
    provider = await startScriptedServer({ cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') })
    provider.script = answer(200, { status: 'approved' })
    settings = {
      ...settingsOf('MQ_'),
      ...settingsOf('API_TLS_'),
      RABBITMQ_URL: '',
      MQ_PORT: String(node.tlsPort),
      PROVIDER: 'http',
      PROVIDER_URL: provider.url,
      PROVIDER_TLS_CA: authority.ca,
    }
    const vhost = await createTestVhost({ amqpUrl: node.url, managementUrl: node.managementUrl })
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 1 }, settings, { vhost })
    const { url } = await defined(pipeline.processes.api[0], 'api').logged('listening')
    apiUrl = String(url).replace('127.0.0.1', 'localhost')
  })
  after(async () => {
    await pipeline?.stop()
    await provider?.close()
    await cluster?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  const here = (lines: string) =>
    lines.replaceAll(/\b(mq|api)\.example\b/g, 'localhost').replaceAll(/\/etc\/(rabbitmq|cashflow)\//g, `${dir}/`)
  /** Makes the authority and all certificates, or replaces them. */
  async function issue(): Promise<void> {
    for (const commands of blocks('sh').filter((block) => block.startsWith('openssl')))
      await run('bash', ['-e', '-c', here(commands)], { cwd: dir })
  }
  function settingsOf(prefix: string): Record<string, string> {
    const lines = here(blocks('ini').join('\n')).split('\n')
    return Object.fromEntries(lines.filter((line) => line.startsWith(prefix)).map((line) => line.split('=')))
  }
  /** Sends a request to the API, verified by the authority as it is now. */
  async function ask(path: string, body?: object) {
    const options = { ca: readFileSync(join(dir, 'ca.pem')), agent: false } as const
    const headers = { 'content-type': 'application/json' }
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number | undefined; body: string }>()
    request(`${apiUrl}${path}`, { ...options, headers, method: body ? 'POST' : 'GET' }, async (response) => {
      resolve({ status: response.statusCode, body: await text(response) })
    })
      .on('error', reject)
      .end(body && JSON.stringify(body))
    return await promise
  }
  const cashflow = (args: string[], env: Record<string, string>) =>
    run(process.execPath, [join(REPOSITORY, 'packages/cli/src/main.ts'), ...args], { env, cwd: dir })
  async function settle(reference: string): Promise<void> {
    const created = await ask('/payments', { amount: 1, currency: 'USD', reference })
    expect(created.status, created.body).to.equal(201)
    const { id } = JSON.parse(created.body)
    await eventually(
      async () => expect(JSON.parse((await ask(`/payments/${id}`)).body).status).to.equal('SUCCESS'),
      PATIENTLY,
    )
  }

  // Promise 111
  it('TLS from zero: a payment is settled over TLS to the API, RabbitMQ and the provider', async () => {
    expect(apiUrl).to.match(/^https:/)
    await settle('REF-1')
    expect(provider.secured()).to.be.at.least(1)
    type Found = { ssl: boolean; peer_cert_subject: string }
    await eventually(async () => {
      const connections = (await management(node.managementUrl).request('GET', '/connections')) as Found[]
      const found = new Set(connections.map(({ ssl, peer_cert_subject: subject }) => `${ssl} ${subject}`))
      expect([...found]).to.deep.equal(['true CN=cashflow'])
    }, PATIENTLY)
    const [curl = ''] = blocks('sh').filter((block) => block.startsWith('curl'))
    const { stdout } = await run('bash', ['-e', '-c', here(curl).replace('localhost:8080', new URL(apiUrl).host)], {
      cwd: dir,
    })
    expect(JSON.parse(stdout)).to.include({ status: 'ok' })
  })

  it('TLS from zero: cashflow conformance and its client use an https URL with NODE_EXTRA_CA_CERTS', async () => {
    const env = { APP_ENV: 'production', NODE_EXTRA_CA_CERTS: join(dir, 'ca.pem') }
    const { stdout } = await cashflow(['conformance', apiUrl], env)
    expect(stdout)
      .to.match(/idempotency/)
      .and.not.match(/FAILED/)
  })

  it('TLS from zero: cashflow doctor says what is encrypted and verified, and when certificates end', async () => {
    const env = { APP_ENV: 'production', SANDBOX: 'yes', DATABASE_URL: '', ...settings }
    const { stdout } = await cashflow(['doctor'], env).catch((error) => error)
    for (const line of [
      /^TLS to RabbitMQ +ok +encrypted with TLSv1\.3, .* host name are verified by .*ca\.pem$/m,
      /^certificate of RabbitMQ at localhost:\d+ +ok +CN=localhost: valid until .* 364 days$/m,
      /^authority of RabbitMQ, MQ_TLS_CA +ok +CN=Cashflow authority: valid until .* 3649 days$/m,
      /^own certificate, MQ_TLS_CERT +ok +CN=cashflow: valid until .* 364 days$/m,
      /^certificate of the API, API_TLS_CERT +ok +CN=localhost: valid until .* 364 days$/m,
      /^TLS to the provider +ok +encrypted; certificate and host name are verified by .*provider\/ca\.pem$/m,
      /^certificate of the provider +ok +CN=server: valid until .* 364 days$/m,
    ])
      expect(stdout).to.match(line)
    const wrong = await cashflow(['doctor'], { ...env, MQ_TLS_SERVERNAME: 'other.test' }).catch((error) => error)
    expect(wrong.stdout).to.match(/^RabbitMQ +NOT OK +cannot be reached: its certificate is for another name/m)
    expect(wrong.stdout).to.match(/^certificate of RabbitMQ at .* but not trusted here: ERR_TLS_CERT_ALTNAME_INVALID$/m)
  })

  // Promise 111
  it('TLS from zero: all certificates and the authority are replaced without a restart', async () => {
    const before = Object.values(pipeline.processes).flatMap((all) => all.map(({ pid }) => pid))
    await issue()
    await node.ctl('eval', 'ssl:clear_pem_cache().')
    await eventually(async () => expect((await ask('/health')).status).to.equal(200), PATIENTLY)
    const broker = management(node.managementUrl)
    const old = (await broker.request('GET', '/connections')) as { name: string }[]
    for (const { name } of old) await broker.request('DELETE', `/connections/${encodeURIComponent(name)}`)
    await settle('REF-2')
    expect(Object.values(pipeline.processes).flatMap((all) => all.map(({ pid }) => pid))).to.deep.equal(before)
    for (const process of [pipeline.processes.api[0], pipeline.processes.relay[0]])
      await process?.logged('new certificates in use', PATIENTLY)
  })
})
