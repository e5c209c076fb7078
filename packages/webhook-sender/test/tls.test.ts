import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Authority,
  answer,
  createAuthority,
  type IssueOptions,
  type ScriptedServer,
  startScriptedServer,
} from '@cashflow/testing'
import { expect } from 'chai'
import { createSender, type Sender } from '../src/index.ts'
import { startDnsServer } from './dns-server.ts'

const HOUR_MS = 3_600_000

describe('endpoints with TLS', () => {
  let folder: string
  let authority: Authority
  let ca: string
  const opened: { close(): Promise<void> }[] = []

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cashflow-tls-'))
    authority = await createAuthority(folder)
    ca = await readFile(authority.ca, 'utf8')
  })
  afterEach(async () => {
    for (const part of opened.splice(0)) await part.close()
  })
  after(() => rm(folder, { recursive: true, force: true }))

  async function open(issued: IssueOptions): Promise<{ receiver: ScriptedServer; port: string; sender: Sender }> {
    const files = await authority.issue('endpoint', issued)
    const receiver = await startScriptedServer({
      cert: await readFile(files.cert, 'utf8'),
      key: await readFile(files.key, 'utf8'),
    })
    receiver.script = answer(204)
    const dns = await startDnsServer((_name, type) => (type === 'A' ? ['127.0.0.1'] : []))
    const sender = createSender({ policy: { allowPrivate: true }, ca, dnsServers: [dns.address] })
    opened.push(sender, receiver, dns)
    return { receiver, port: new URL(receiver.url).port, sender }
  }

  it('sender: verifies the name of the URL, also with another header host, and keeps the connection', async () => {
    const { receiver, port, sender } = await open({ names: ['a.example'] })
    for (const headers of [{}, { host: 'b.example' }])
      expect(await sender.post(`https://a.example:${port}/`, headers, '{}')).to.include({ status: 204 })
    expect(receiver.secured()).to.equal(1)
    const headers = { host: 'a.example' }
    expect(await sender.post(`https://b.example:${port}/`, headers, '{}')).to.have.property(
      'error',
      'certificate: for another host name',
    )
    expect(receiver.seen).to.have.length(2)
  })

  it('sender: verifies an IP address of the URL', async () => {
    const { receiver, sender } = await open({ names: ['127.0.0.1'] })
    expect(await sender.post(receiver.url, {}, '{}')).to.include({ status: 204 })
    const other = await open({ names: ['a.example', '127.0.0.2'] })
    expect(await other.sender.post(other.receiver.url, {}, '{}')).to.have.property(
      'error',
      'certificate: for another host name',
    )
  })

  for (const [what, times, error] of [
    [
      'has expired',
      { notBefore: new Date(Date.now() - 2 * HOUR_MS), notAfter: new Date(Date.now() - HOUR_MS) },
      'certificate: expired',
    ],
    ['is not valid yet', { notBefore: new Date(Date.now() + HOUR_MS) }, 'certificate: not valid yet'],
  ] as const)
    it(`sender: refuses a certificate that ${what}`, async () => {
      const { receiver, sender } = await open(times)
      expect(await sender.post(receiver.url, {}, '{}')).to.have.property('error', error)
      expect(receiver.seen).to.have.length(0)
    })

  it('sender: refuses a certificate of an authority that is not trusted, also with NODE_TLS_REJECT_UNAUTHORIZED=0', async () => {
    const { receiver } = await open({})
    const trusting = createSender({ policy: { allowPrivate: true } })
    opened.push(trusting)
    const { NODE_TLS_REJECT_UNAUTHORIZED: before } = process.env
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    try {
      expect(await trusting.post(receiver.url, {}, '{}')).to.have.property(
        'error',
        'certificate: not signed by a trusted authority',
      )
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
    }
    expect(receiver.seen).to.have.length(0)
  })

  it('sender: tells that an endpoint of an https URL does not speak TLS', async () => {
    const { sender } = await open({})
    const plain = await startScriptedServer()
    opened.push(plain)
    const attempt = await sender.post(plain.url.replace('http:', 'https:'), {}, '{}')
    expect(attempt).to.have.property('error', 'tls: the endpoint does not speak TLS on this port')
  })
})
