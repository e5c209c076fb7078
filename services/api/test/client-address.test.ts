import { once } from 'node:events'
import { Agent, createServer, get, type IncomingMessage, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { defined } from '@cashflow/async'
import { expect } from 'chai'
import { clientNetwork, createClientAddressOf, readNetworks } from '../src/client-address.ts'
import { type ApiUnderTest, startApi } from './start-api.ts'

/** A request as Node gives it, from a peer and with the joined `X-Forwarded-For`. */
function requestFrom(remoteAddress: string, forwarded?: string): IncomingMessage {
  return { socket: { remoteAddress }, headers: { 'x-forwarded-for': forwarded } } as unknown as IncomingMessage
}

function clientOf({ trust, peer, forwarded }: { trust?: string; peer: string; forwarded?: string }): string {
  const networks = trust === undefined ? [] : defined(readNetworks(trust), 'networks')
  return createClientAddressOf(networks)(requestFrom(peer, forwarded))
}

describe('client address', () => {
  it('ignores X-Forwarded-For where no proxy is trusted', () => {
    expect(clientOf({ peer: '10.0.0.1', forwarded: '203.0.113.7' })).to.equal('10.0.0.1')
  })

  const TRUST = '10.0.0.0/8,192.0.2.1,fd00::/57'
  for (const [title, peer, forwarded, client] of [
    ['ignores the header of a peer that is not trusted', '203.0.113.7', '198.51.100.1', '203.0.113.7'],
    ['is the peer of a trusted proxy that sends no header', '10.0.0.1', undefined, '10.0.0.1'],
    ['is the address that a trusted proxy appended', '10.0.0.1', '203.0.113.7', '203.0.113.7'],
    ['ignores what the client itself had sent', '10.0.0.1', '10.9.9.9, 198.51.100.1, 203.0.113.7', '203.0.113.7'],
    ['passes over every trusted proxy', '10.0.0.1', '203.0.113.7,192.0.2.1 , 10.3.4.5', '203.0.113.7'],
    ['is the first address where all are trusted', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['stops after 32 entries', '10.0.0.1', `203.0.113.7,${'10.0.0.2,'.repeat(32)}`, '10.0.0.2'],
    ['passes over 30 trusted proxies', '10.0.0.1', `203.0.113.7${',10.0.0.2'.repeat(30)}`, '203.0.113.7'],
    ['stops before a malformed entry', '10.0.0.1', '203.0.113.7, unknown, 10.0.0.2', '10.0.0.2'],
    ['is the proxy where the only entry is malformed', '10.0.0.1', '203.0.113.7.9', '10.0.0.1'],
    ['refuses octal digits', '10.0.0.1', '0177.0.0.1', '10.0.0.1'],
    ['skips empty entries', '10.0.0.1', ', 203.0.113.7,, ,', '203.0.113.7'],
    ['drops the port of an IPv4 address', '10.0.0.1', '203.0.113.7:51234', '203.0.113.7'],
    ['drops brackets', '10.0.0.1', '[2001:db8::7]', '2001:db8::7'],
    ['drops brackets and port', '10.0.0.1', '[2001:db8::7]:51234', '2001:db8::7'],
    ['refuses a bracket that is not closed', '10.0.0.1', '[2001:db8::7', '10.0.0.1'],
    ['spells IPv6 as RFC 5952 does', '10.0.0.1', '2001:DB8:0:0:0::7', '2001:db8::7'],
    ['drops the zone of an IPv6 address', 'fe80::1%eth0', undefined, 'fe80::1'],
    ['takes an IPv4-mapped peer for its IPv4 address', '::ffff:10.0.0.1', '203.0.113.7', '203.0.113.7'],
    ['takes an IPv4-mapped entry for its IPv4 address', '10.0.0.1', '::ffff:cb00:7107', '203.0.113.7'],
    ['knows the last address of a trusted network', 'fd00:0:0:7f::1', '203.0.113.7', '203.0.113.7'],
    ['knows the first address after a trusted network', 'fd00:0:0:80::1', '203.0.113.7', 'fd00:0:0:80::1'],
  ] as const) {
    it(title, () => {
      expect(clientOf({ trust: TRUST, peer, ...(forwarded !== undefined && { forwarded }) })).to.equal(client)
    })
  }

  it('reads a trusted network of IPv4-mapped addresses as the IPv4 network', () => {
    expect(readNetworks('::ffff:10.0.0.0/104,::FFFF:c000:201,::ffff:0:0/96')).to.deep.equal([
      { address: '10.0.0.0', prefix: 8 },
      { address: '192.0.2.1', prefix: 32 },
      { address: '0.0.0.0', prefix: 0 },
    ])
    const forwarded = '203.0.113.7'
    for (const peer of ['10.1.2.3', '::ffff:10.1.2.3'])
      expect(clientOf({ trust: '::ffff:10.0.0.0/104', peer, forwarded })).to.equal(forwarded)
    expect(clientOf({ trust: '::ffff:10.0.0.0/104', peer: '11.0.0.1', forwarded })).to.equal('11.0.0.1')
  })

  for (const [address, network] of [
    ['203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8::7', '2001:db8:0:0::/64'],
    ['1::4:5:6:7:8', '1:0:0:4::/64'],
    ['::1', '0:0:0:0::/64'],
    ['1::', '1:0:0:0::/64'],
  ] as const) {
    it(`counts ${address} as ${network}`, () => {
      expect(clientNetwork(address)).to.equal(network)
    })
  }

  for (const text of [
    '10.0.0.0/33',
    'fd00::/129',
    '::ffff:10.0.0.0/95',
    '10.0.0.0:80/104',
    '10.0.0/8',
    'loopback',
    '10.0.0.1/',
    '10.0.0.1,',
    '10.0.0.1 10.0.0.2',
  ])
    it(`refuses ${JSON.stringify(text)} as a list of networks`, () => {
      expect(readNetworks(text)).to.equal(undefined)
    })
})

describe('client address through a proxy', () => {
  let api: ApiUnderTest
  let proxy: Server
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })

  before(async () => {
    api = await startApi({ trustProxy: [{ address: '127.0.0.1', prefix: 32 }] })
    proxy = createServer((req, res) => {
      const seen = req.headers['x-forwarded-for']
      const forwarded = `${seen === undefined ? '' : `${seen}, `}${req.socket.remoteAddress}`
      const headers = { ...req.headers, 'x-forwarded-for': forwarded }
      const onward = request(`${api.http.url}${req.url}`, { method: req.method, headers, agent }, (answer) => {
        res.writeHead(answer.statusCode ?? 0, answer.headers)
        answer.pipe(res)
      })
      req.pipe(onward)
    })
    await once(proxy.listen(0, '127.0.0.1'), 'listening')
  })
  after(async () => {
    proxy.close()
    agent.destroy()
    await api.stop()
  })

  async function getFrom(localAddress: string, headers = {}): Promise<number | undefined> {
    const { port } = proxy.address() as AddressInfo
    const sent = get({ port, host: '127.0.0.1', path: '/nowhere', localAddress, headers, agent: false })
    const [answer] = (await once(sent, 'response')) as [IncomingMessage]
    await once(answer.resume(), 'close')
    return answer.statusCode
  }

  it('logs the address of each client of a proxy that keeps one connection', async () => {
    for (const client of ['127.0.0.2', '127.0.0.3', '127.0.0.2']) expect(await getFrom(client)).to.equal(404)
    expect(await getFrom('127.0.0.4', { 'X-Forwarded-For': ['203.0.113.7', '127.0.0.9'] })).to.equal(404)
    const logged = api.logs.filter(({ message }) => message === 'request answered').map(({ client }) => client)
    expect(logged).to.deep.equal(['127.0.0.2', '127.0.0.3', '127.0.0.2', '127.0.0.4'])
  })

  it('logs the address of a client that comes without the proxy', async () => {
    api.logs.length = 0
    const url = new URL(api.http.url)
    const headers = { 'X-Forwarded-For': '203.0.113.7' }
    const sent = get({ port: url.port, host: url.hostname, path: '/nowhere', localAddress: '127.0.0.5', headers })
    const [answer] = (await once(sent, 'response')) as [IncomingMessage]
    await once(answer.resume(), 'close')
    expect(api.logs.map(({ client }) => client)).to.deep.equal(['127.0.0.5'])
  })
})
