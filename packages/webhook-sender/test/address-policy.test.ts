import { get } from 'node:http'
import { isIP } from 'node:net'
import { expect } from 'chai'
import fc from 'fast-check'
import { RequestFilteringHttpAgent } from 'request-filtering-agent'
import { isAllowedAddress } from '../src/address-policy.ts'
import { checkUrl } from '../src/index.ts'

const STRICT = { allowPrivate: false }
const SANDBOX = { allowPrivate: true }

const PUBLIC = ['1.1.1.1', '8.8.8.8', '93.184.216.34', '172.15.255.255', '172.32.0.0', '100.63.255.255', '100.128.0.0']
const PUBLIC_IPV6 = ['2606:4700:4700::1111', '2a00:1450:4001::200e', '2001:4860:4860::8888', '2001:200::1']
const PRIVATE = ['10.0.0.1', '10.255.255.255', '127.0.0.1', '127.255.255.254', '172.16.0.1', '172.31.255.255']
const PRIVATE_IPV6 = ['::1', 'fc00::1', 'fd12:3456::1', 'fdff:ffff::1']

/** First and last addresses of what is refused with either policy. */
const SPECIAL = {
  'this network': ['0.0.0.0', '0.255.255.255'],
  'addresses of carriers': ['100.64.0.0', '100.100.100.200', '100.127.255.255'],
  'link-local addresses, with metadata of clouds': ['169.254.0.0', '169.254.169.254', '169.254.255.255'],
  "Azure's metadata": ['168.63.129.16'],
  'protocol assignments, with metadata of Oracle': ['192.0.0.0', '192.0.0.192', '192.0.0.255'],
  documentation: ['192.0.2.1', '198.51.100.1', '203.0.113.255', '2001:db8::1', '3fff::1', '3fff:fff::1'],
  'relays of 6to4': ['192.88.99.1'],
  benchmarks: ['198.18.0.0', '198.19.255.255', '2001:2::1'],
  multicast: ['224.0.0.1', '239.255.255.255', 'ff00::', 'ff02::1', 'ffff::1'],
  'reserved addresses': ['240.0.0.0', '255.255.255.255', '4000::1', '5f00::1', 'e000::1', '1fff::1', '100::1'],
  'the unspecified address': ['::'],
  'IPv4 in IPv6': [
    '::ffff:8.8.8.8',
    '::ffff:127.0.0.1',
    '::ffff:a9fe:a9fe',
    '::127.0.0.1',
    '::8.8.8.8',
    '::ffff:0:7f00:1',
  ],
  NAT64: ['64:ff9b::7f00:1', '64:ff9b::169.254.169.254', '64:ff9b::808:808', '64:ff9b:1::a00:1', '64:ff9b:1:ffff::1'],
  '6to4': ['2002::1', '2002:7f00:1::', '2002:a9fe:a9fe::1', '2002:808:808::1'],
  'Teredo and ORCHID': ['2001::1', '2001:0:7f00:1::', '2001:10::1', '2001:20::1', '2001:1ff:ffff::1'],
  'link-local IPv6': ['fe80::1', 'febf:ffff::1', 'fe80::1%lo'],
  'site-local IPv6': ['fec0::1', 'feff::1'],
  'metadata on unique local IPv6': ['fd00:ec2::254', 'fd20:ce::254', 'fd00:42::42', 'fd00:c1::a9fe:a9fe'],
  'what is no address': ['', 'localhost', '[::1]', '127.1', '1.2.3.4.5', '2130706433', '0x7f000001', ' 1.1.1.1'],
} as const

describe('addresses that webhooks may be sent to', () => {
  it('address policy: allows public addresses', () => {
    for (const address of [...PUBLIC, ...PUBLIC_IPV6]) {
      expect(isAllowedAddress(address, STRICT), address).to.equal(true)
      expect(isAllowedAddress(address, SANDBOX), address).to.equal(true)
    }
  })

  it('address policy: allows loopback, RFC 1918 and unique local addresses only with allowPrivate', () => {
    for (const address of [...PRIVATE, '192.168.0.0', '192.168.255.255', ...PRIVATE_IPV6]) {
      expect(isAllowedAddress(address, STRICT), address).to.equal(false)
      expect(isAllowedAddress(address, SANDBOX), address).to.equal(true)
    }
  })

  for (const [what, addresses] of Object.entries(SPECIAL))
    it(`address policy: refuses ${what}, also with allowPrivate`, () => {
      for (const address of addresses)
        for (const policy of [STRICT, SANDBOX]) expect(isAllowedAddress(address, policy), address).to.equal(false)
    })

  // Promise 126
  it('address policy: refuses every address that request-filtering-agent refuses, in every spelling', async () => {
    let refused = 0
    await fc.assert(
      fc.asyncProperty(fc.oneof(ipv4, ipv6), spelling, async (bytes, spell) => {
        const address = spell(bytes)
        expect(isIP(address), address).to.be.greaterThan(0)
        if (!(await oracleRefuses(address))) return
        refused += 1
        expect(isAllowedAddress(address, STRICT), address).to.equal(false)
        const host = isIP(address) === 6 ? `[${address}]` : address
        expect(checkUrl(`https://${host}/`, STRICT), host).to.have.property('refused')
      }),
      { numRuns: 3_000 },
    )
    expect(refused).to.be.greaterThan(500)
  })
})

const anyBytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => [...bytes])

/** Random bytes behind the first ones of a special network. */
const startingWith = (length: number, ...starts: readonly (readonly number[])[]) =>
  fc.tuple(fc.constantFrom(...starts), anyBytes(length)).map(([start, rest]) => [...start, ...rest.slice(start.length)])

const ipv4 = fc.oneof(
  anyBytes(4),
  startingWith(4, [0], [10], [100, 64], [100, 127], [127], [169, 254], [172, 16], [172, 31], [192, 0, 0], [192, 0, 2]),
  startingWith(4, [192, 88, 99], [192, 168], [198, 18], [198, 51, 100], [203, 0, 113], [224], [239], [240], [255]),
)
const zeros = (count: number) => Array<number>(count).fill(0)
const ipv6 = fc.oneof(
  anyBytes(16),
  startingWith(16, [0x20], [0x2a], [0x3f], [0xfc], [0xfd], [0xfe, 0x80], [0xfe, 0xc0], [0xff], [1, 0], [0x5f]),
  startingWith(16, [0x20, 1, 0, 0], [0x20, 1, 0xd, 0xb8], [0x20, 2], [0x20, 1, 0, 0x20], [0x3f, 0xff, 0], zeros(12)),
  startingWith(
    16,
    [...zeros(10), 255, 255],
    [...zeros(8), 255, 255, 0, 0],
    [0, 0x64, 0xff, 0x9b, ...zeros(8)],
    zeros(15),
  ),
)

function groups(bytes: readonly number[]): string[] {
  return Array.from({ length: 8 }, (_, n) => (((bytes[2 * n] ?? 0) << 8) | (bytes[2 * n + 1] ?? 0)).toString(16))
}

/** Ways to write the same address. */
const spelling = fc.constantFrom<(bytes: readonly number[]) => string>(
  (bytes) => (bytes.length === 4 ? bytes.join('.') : groups(bytes).join(':')),
  (bytes) =>
    bytes.length === 4
      ? bytes.join('.')
      : groups(bytes)
          .map((group) => group.padStart(4, '0'))
          .join(':'),
  (bytes) => (bytes.length === 4 ? bytes.join('.') : groups(bytes).join(':').toUpperCase()),
  (bytes) =>
    bytes.length === 4
      ? `::ffff:${bytes.join('.')}`
      : new URL(`http://[${groups(bytes).join(':')}]`).hostname.slice(1, -1),
  (bytes) =>
    bytes.length === 4
      ? `64:ff9b::${bytes.join('.')}`
      : `${groups(bytes).slice(0, 6).join(':')}:${bytes.slice(12).join('.')}`,
)

/** Asks the agent itself. Its connections are never opened: it refuses, or this function ends the request. */
function oracleRefuses(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const agent = new RequestFilteringHttpAgent()
    const request = get({ host: address, port: 9, agent }, () => {})
    request.on('error', ({ message }) => resolve(message.includes('is not allowed')))
    request.on('socket', (socket) => {
      if (!socket.destroyed) request.destroy(new Error('allowed'))
    })
  })
}
