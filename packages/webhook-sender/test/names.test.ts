import { answer, eventually, type ScriptedServer, startScriptedServer } from '@cashflow/testing'
import { expect } from 'chai'
import { type Attempt, createSender, type SenderOptions } from '../src/index.ts'
import { startDnsServer } from './dns-server.ts'

const REFUSED = 'refused address: the host name has an address that is not allowed'
/** In 2000::/3, but assigned to no network. */
const UNUSED = '2e00::1'

const errorOf = ({ error }: Attempt & { error?: string }) => error

describe('names of endpoints', () => {
  let receiver: ScriptedServer
  let port: string
  const opened: { close(): Promise<void> }[] = []

  before(async () => {
    receiver = await startScriptedServer()
    receiver.script = answer(204)
    port = new URL(receiver.url).port
  })
  beforeEach(() => {
    receiver.seen.length = 0
  })
  afterEach(async () => {
    for (const part of opened.splice(0)) await part.close()
  })
  after(() => receiver.close())

  /** A sender whose names resolve by `zone`. */
  async function open(zone: Parameters<typeof startDnsServer>[0], options: Partial<SenderOptions> = {}) {
    const dns = await startDnsServer(zone)
    const sender = createSender({ policy: { allowPrivate: true }, dnsServers: [dns.address], ...options })
    opened.push(sender, dns)
    const post = (name: string, scheme = 'http') => sender.post(`${scheme}://${name}:${port}/`, {}, '{}')
    return { sender, dns, post }
  }

  it('sender: resolves a name once for a connection, and connects to the address that was checked', async () => {
    const { dns, post } = await open((_name, type) => (type === 'A' ? ['127.0.0.1'] : []))
    expect(await post('a.example')).to.include({ status: 204 })
    expect(await post('a.example')).to.include({ status: 204 })
    expect(dns.questions.sort()).to.deep.equal(['A a.example', 'AAAA a.example'])
    expect(receiver.seen[0]?.headers.host).to.equal(`a.example:${port}`)
  })

  // Promise 126
  it('sender: refuses a name that answers a public address first and loopback next (DNS rebinding)', async () => {
    let asked = 0
    const policy = { allowPrivate: false }
    const { post } = await open(
      (_name, type) => {
        asked += 1
        if (asked <= 2) return type === 'AAAA' ? [UNUSED] : []
        return type === 'A' ? ['127.0.0.1'] : []
      },
      { policy, deadlineMs: 1_000 },
    )
    expect(errorOf(await post('rebind.example', 'https'))).to.match(/^(unreachable|timeout)/)
    expect(asked, 'no second look-up for one connection').to.equal(2)
    expect(errorOf(await post('rebind.example', 'https'))).to.equal(REFUSED)
    expect(receiver.seen).to.have.length(0)
  })

  it('sender: sends over no old connection once a name has another address, after the age of a connection', async () => {
    let address = '127.0.0.1'
    const { post } = await open((_name, type) => (type === 'A' ? [address] : []), { connectionAgeMaxMs: 0 })
    expect(await post('moved.example')).to.include({ status: 204 })
    address = '169.254.169.254'
    expect(errorOf(await post('moved.example'))).to.equal(REFUSED)
  })

  for (const [what, addresses] of [
    ['a link-local address behind an allowed one', { A: ['127.0.0.1', '169.254.169.254'], AAAA: [] }],
    ['a link-local address in front of an allowed one', { A: ['169.254.169.254', '127.0.0.1'], AAAA: [] }],
    ['an IPv4-mapped address next to an allowed one', { A: ['127.0.0.1'], AAAA: ['0:0:0:0:0:ffff:7f00:1'] }],
    ['a link-local IPv6 address next to an allowed one', { A: ['127.0.0.1'], AAAA: ['fe80::1'] }],
    ['the ninth address', { A: [...Array(8).fill('127.0.0.1'), '0.0.0.0'], AAAA: [] }],
  ] as const)
    it(`sender: refuses a name that mixes in ${what}`, async () => {
      const { post } = await open((_name, type) => addresses[type])
      expect(errorOf(await post('mixed.example'))).to.equal(REFUSED)
      expect(receiver.seen).to.have.length(0)
    })

  it('sender: refuses public names of private addresses, such as 10.0.4.17.nip.io', async () => {
    const { post } = await open((name, type) => (type === 'A' ? [name.replace(/\.nip\.io$/, '')] : []), {
      policy: { allowPrivate: false },
    })
    for (const address of ['10.0.4.17', '127.0.0.1', '169.254.169.254', '100.64.0.1', '192.168.0.1', '0.0.0.0'])
      expect(errorOf(await post(`${address}.nip.io`, 'https'))).to.equal(REFUSED)
  })

  it('sender: takes localhost and names under it for loopback, without asking DNS', async () => {
    const { dns, post } = await open(() => ['169.254.169.254'])
    for (const name of ['localhost', 'localhost.', 'hooks.localhost', 'LOCALHOST'])
      expect(await post(name)).to.include({ status: 204 })
    expect(dns.questions).to.deep.equal([])
  })

  it('sender: tells a name that does not exist from DNS servers that do not answer', async () => {
    const { post } = await open((name) => (name === 'missing.example' ? [] : undefined), { deadlineMs: 1_000 })
    expect(errorOf(await post('missing.example'))).to.equal('name not found')
    expect(errorOf(await post('silent.example'))).to.equal('timeout: no answer within 1 s')
  })

  it('sender: uses one kind of addresses where DNS fails for the other', async () => {
    const { post } = await open((_name, type) => (type === 'A' ? ['127.0.0.1'] : undefined))
    expect(await post('half.example')).to.include({ status: 204 })
  })

  // Promise 123
  it('sender: a thousand names whose DNS servers are dead delay no other name', async () => {
    const { sender, dns, post } = await open((name, type) =>
      name !== 'alive.example' ? undefined : type === 'A' ? ['127.0.0.1'] : [],
    )
    const ended = new AbortController()
    const dead = Array.from({ length: 1_000 }, (_, n) => sender.post(`http://dead${n}.example/`, {}, '', ended.signal))
    await eventually(async () => expect(dns.questions.length).to.be.greaterThan(500))
    const attempt = await post('alive.example')
    expect(attempt).to.include({ status: 204 })
    expect(attempt.durationMs).to.be.lessThan(1_500)
    ended.abort()
    for (const attempt of await Promise.all(dead)) expect(errorOf(attempt)).to.equal('stopped')
  })
})
