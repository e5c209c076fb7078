import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defined } from '@cashflow/async'
import {
  type Authority,
  createAuthority,
  eventually,
  type IssuedFiles,
  management,
  type RabbitmqCluster,
  type RabbitmqClusterNode,
  startRabbitmqCluster,
} from '@cashflow/testing'
import { expect } from 'chai'
import type { TlsOptions } from '../src/index.ts'
import { cleanUp, createRig, message } from './rig.ts'

const NAMES = ['broker.test', '127.0.0.1']
const now = () => 0

describe('connection to RabbitMQ over TLS', function () {
  this.timeout(240_000)
  let dir: string
  let cluster: RabbitmqCluster
  let node: RabbitmqClusterNode
  let [authority, foreign]: Authority[] = []
  let client: IssuedFiles

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cashflow-tls-'))
    const own = await createAuthority(join(dir, 'own'))
    authority = own
    foreign = await createAuthority(join(dir, 'foreign'))
    const server = await own.issue('server', { names: NAMES })
    client = await own.issue('client', { commonName: 'first' })
    const settings = (port: number) => [
      `listeners.ssl.local = 127.0.0.1:${port}`,
      `ssl_options.cacertfile = ${own.ca}`,
      `ssl_options.certfile = ${server.cert}`,
      `ssl_options.keyfile = ${server.key}`,
      'ssl_options.verify = verify_peer',
      'ssl_options.fail_if_no_peer_cert = true',
    ]
    cluster = await startRabbitmqCluster({ dir: join(dir, 'broker'), size: 1, settings })
    node = defined(cluster.nodes[0], 'node')
  })
  after(async () => {
    await cluster?.stop()
    await rm(dir, { recursive: true, force: true })
  })
  afterEach(cleanUp)

  const url = (host = '127.0.0.1') => `amqps://guest:guest@${host}:${node.tlsPort}/`
  const ca = (of = authority) => readFileSync(defined(of, 'authority').ca)
  const pair = ({ cert, key } = client) => ({ cert: readFileSync(cert), key: readFileSync(key) })
  /** RabbitMQ keeps files for two minutes. */
  async function replaceServer(options: { notAfter?: Date } = {}): Promise<void> {
    await authority?.issue('server', { names: NAMES, ...options })
    await node.ctl('eval', 'ssl:clear_pem_cache().')
  }
  /** The names of this rig's connections in their client certificates, as RabbitMQ has read them. */
  async function clientNames(name: string): Promise<unknown[]> {
    type Found = { user_provided_name?: string; peer_cert_subject?: string; name: string }
    const all = (await management(node.managementUrl).request('GET', '/connections')) as Found[]
    return all.filter((one) => one.user_provided_name === name).map((one) => one.peer_cert_subject)
  }

  // Promise 111
  it('RabbitMQ over TLS: publishes and consumes on verified connections, by address and by MQ_TLS_SERVERNAME', async () => {
    for (const options of [{}, { servername: 'broker.test' }]) {
      const rig = createRig([url(options.servername ? 'localhost' : '127.0.0.1')], {
        queue: `q ${options.servername}`,
        tls: () => ({ ca: ca(), ...pair(), ...options }),
      })
      const received = new Set<string>()
      rig.consumer(async ({ messageId }) => {
        received.add(String(messageId))
        return 'ack'
      })
      const sent = Array.from({ length: 500 }, () => message())
      const outcomes = await rig.publisher().publish(sent, { deadlineMs: 30_000 })
      expect(outcomes.map(({ status }) => status)).to.deep.equal(sent.map(() => 'confirmed'))
      await eventually(() => expect(received.size).to.equal(sent.length))
      const { encryption } = await rig.connection.broker()
      expect(encryption).to.include({ protocol: 'TLSv1.3' })
      expect(rig.logger.logged('connected to RabbitMQ')[0]?.fields).to.include({ tls: 'TLSv1.3' })
      expect(rig.logger.logged('waiting for RabbitMQ')).to.deep.equal([])
    }
  })

  const FAULTS: Record<string, [tls: () => TlsOptions, reason: RegExp, settings: RegExp, address?: () => string]> = {
    'a certificate of another authority': [
      () => ({ ca: ca(foreign), ...pair() }),
      /^its certificate is not signed by a trusted authority \([A-Z_]+\)$/,
      /^MQ_TLS_CA$/,
    ],
    'a certificate of an authority that Node does not trust': [pair, /trusted authority/, /^MQ_TLS_CA$/],
    'a certificate for another name': [
      () => ({ ca: ca(), ...pair(), servername: 'other.test' }),
      /^its certificate is for another name: .*other\.test.*broker\.test/,
      /MQ_TLS_SERVERNAME/,
    ],
    'no client certificate': [
      () => ({ ca: ca() }),
      /^it refuses our client certificate, or misses one \(tlsv13 alert certificate required\)$/,
      /^MQ_TLS_CERT and MQ_TLS_KEY$/,
    ],
    'a client certificate of another authority': [
      () => ({ ca: ca(), ...pair(foreignClient) }),
      /^it refuses our client certificate, or misses one \(.*alert.*\)$/,
      /^MQ_TLS_CERT and MQ_TLS_KEY$/,
    ],
    'a port without TLS': [
      () => ({ ca: ca(), ...pair() }),
      /^it does not speak TLS on this port \([a-z ]+\)$/,
      /MQ_PORT/,
      () => node.url.replace('amqp:', 'amqps:'),
    ],
  }
  let foreignClient: IssuedFiles
  before(async () => {
    foreignClient = await defined(foreign, 'authority').issue('client')
  })

  for (const [what, [tls, reason, settings, address = url]] of Object.entries(FAULTS)) {
    // Promise 111
    it(`RabbitMQ over TLS: logs one clear line and goes on trying with ${what}`, async () => {
      let dials = 0
      const counted = () => {
        dials += 1
        return tls()
      }
      const rig = createRig([address()], { tls: counted, random: now })
      await eventually(() => expect(dials).to.be.at.least(20), { timeoutMs: 60_000 })
      expect(rig.logger.lines).to.have.length(1)
      const [line] = rig.logger.logged('waiting for RabbitMQ')
      expect(line?.level).to.equal('error')
      expect(line?.fields.reason).to.match(reason)
      expect(line?.fields.settings).to.match(settings)
    })
  }

  // Promise 111
  it('RabbitMQ over TLS: waits while the certificate of RabbitMQ has expired, and connects when it is renewed', async () => {
    await replaceServer({ notAfter: new Date(Date.now() - 60_000) })
    const rig = createRig([url()], { tls: () => ({ ca: ca(), ...pair() }) })
    await eventually(() => expect(rig.logger.lines).to.have.length(1))
    expect(rig.logger.lines[0]?.fields.reason).to.equal('its certificate, or that of its authority, has expired')
    await replaceServer()
    await rig.connection.whenReady()
  })

  // Promise 111
  it('RabbitMQ over TLS: keeps a connection when files change, and uses them for the next one', async () => {
    const name = 'replaced while running'
    const rig = createRig([url()], { name, tls: () => ({ ca: ca(), ...pair() }) })
    const publisher = rig.publisher()
    await eventually(async () => expect(await clientNames(name)).to.deep.equal(['CN=first']))
    client = await defined(authority, 'authority').issue('client', { commonName: 'second' })
    expect(await publisher.publish([message()], { deadlineMs: 30_000 })).to.deep.equal([{ status: 'confirmed' }])
    expect(await clientNames(name)).to.deep.equal(['CN=first'])
    const broker = await rig.connection.broker()
    broker.drop('dropped by the test')
    await eventually(async () => expect(await clientNames(name)).to.deep.equal(['CN=second']))
    expect(rig.connection.reconnects).to.equal(1)
  })
})
