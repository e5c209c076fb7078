import { expect } from 'chai'
import fc from 'fast-check'
import { checkUrl } from '../src/index.ts'

const STRICT = { allowPrivate: false }
const SANDBOX = { allowPrivate: true }

const NOT_PUBLIC = 'must have an address of the public Internet'
const NOT_ALLOWED = 'must have an address of a public or a private network'
const CREDENTIALS = 'must not contain a user name or a password'
const BLANKS = 'must not contain blanks, control characters or backslashes'

describe('checkUrl', () => {
  for (const url of [
    'https://hooks.example.com',
    'https://hooks.example.com/a/b?c=%20d',
    'https://hooks.example.com.:8443/',
    'HTTPS://HOOKS.example.com:1/',
    'https://bücher.example/',
    'https://1.1.1.1/',
    'https://[2606:4700:4700::1111]:8443/',
    'https://10.0.4.17.nip.io/', // Its address is refused when it is looked up.
  ])
    it(`URL of an endpoint: ${url} is accepted`, () => {
      expect(checkUrl(url, STRICT)).to.deep.equal({ url: new URL(url) })
    })

  const loopback = [
    '2130706433',
    '0177.0.0.1',
    '0x7f.1',
    '127.1',
    '017700000001',
    '0x7f000001',
    '127.0.0.1.',
    '%31%32%37.0.0.1',
  ]
  for (const host of [
    ...loopback,
    '①②⑦.0.0.1',
    '１２７.0.0.1',
    '127。0。0。1',
    'localhost',
    'LocalHost',
    'localhost.',
    'a.localhost',
    '[::1]',
    '10.1.2.3',
  ])
    it(`URL of an endpoint: ${host}, which is private, is accepted only with allowPrivate`, () => {
      expect(checkUrl(`https://${host}/`, STRICT)).to.deep.equal({ refused: NOT_PUBLIC })
      expect(checkUrl(`https://${host}:8443/`, SANDBOX)).to.have.property('url')
      expect(checkUrl(`http://${host}/`, SANDBOX)).to.have.property('url')
    })

  // Promise 126
  for (const host of [
    ...['169.254.169.254', '0xa9fea9fe', '2852039166', '0251.0376.0251.0376', '169.254.43518', '0', '0.0.0.0', '[::]'],
    ...[
      '[::ffff:169.254.169.254]',
      '[::ffff:a9fe:a9fe]',
      '[0:0:0:0:0:ffff:7f00:1]',
      '[::ffff:127.0.0.1]',
      '[::127.0.0.1]',
    ],
    ...[
      '[64:ff9b::169.254.169.254]',
      '[64:ff9b:1::1]',
      '[2002:7f00:1::]',
      '[2001::1]',
      '[fe80::1]',
      '[fec0::1]',
      '[ff02::1]',
    ],
    ...['100.64.0.1', '192.0.0.1', '198.18.0.1', '224.0.0.1', '255.255.255.255', '168.63.129.16', '[fd00:ec2::254]'],
  ])
    it(`URL of an endpoint: ${host} is refused with either policy`, () => {
      expect(checkUrl(`https://${host}/`, STRICT)).to.deep.equal({ refused: NOT_PUBLIC })
      expect(checkUrl(`https://${host}:8443/a`, SANDBOX)).to.deep.equal({ refused: NOT_ALLOWED })
    })

  for (const [url, refused] of [
    ['https://user@hooks.example.com/', CREDENTIALS],
    ['https://user:pass@hooks.example.com/', CREDENTIALS],
    ['https://:@hooks.example.com/', CREDENTIALS],
    ['https://hooks.example.com@127.0.0.1/', CREDENTIALS],
    ['https://hooks.example.com:0/', 'must not have port 0'],
    ['https://hooks.example.com/#a', 'must not have a fragment'],
    ['https://hooks.example.com:65536/', 'must be a valid URL'],
    ['https://[::1%25lo]/', 'must be a valid URL'],
    ['https://1.2.3.4.5/', 'must be a valid URL'],
    ['https:///etc/passwd', 'must have a host name with a domain, such as hooks.example.com'],
    ['https://intranet/', 'must have a host name with a domain, such as hooks.example.com'],
    ['https://a..b/', 'must have a valid host name'],
    [`https://${'a'.repeat(64)}.example/`, 'must have a valid host name'],
    [`https://${'a.'.repeat(126)}example/`, 'must have a valid host name'],
    ["https://a'b.example/", 'must have a valid host name'],
    [`https://hooks.example.com/${'a'.repeat(2_048)}`, 'must have at most 2048 characters'],
    [' https://hooks.example.com/', BLANKS],
    ['https://hooks.exa\nmple.com/', BLANKS],
    ['https://hooks.example.com\t/', BLANKS],
    ['https://hooks.example.com\\@127.0.0.1/', BLANKS],
    ['https://hooks.example.com/\u00a0', BLANKS],
    ['https://hooks.example.com/\0', BLANKS],
    ['', 'must begin with https://'],
    ['https:hooks.example.com', 'must begin with https://'],
    ['http://hooks.example.com/', 'must begin with https://'],
    ...['ftp', 'file', 'gopher', 'unix', 'http+unix', 'ws', 'data', 'javascript'].map(
      (scheme) => [`${scheme}://hooks.example.com/`, 'must begin with https://'] as const,
    ),
  ] as const)
    it(`URL of an endpoint: ${JSON.stringify(url.slice(0, 60))} is refused: ${refused}`, () => {
      expect(checkUrl(url, STRICT)).to.deep.equal({ refused })
    })

  it('URL of an endpoint: any text is answered, and a refusal shows no part of it', () => {
    const hosts = fc.oneof(fc.string({ unit: 'grapheme' }), fc.domain(), fc.ipV4(), fc.ipV6())
    const urls = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.webUrl(),
      hosts.map((host) => `https://hunter2:${host}/`),
    )
    fc.assert(
      fc.property(urls, (text) => {
        for (const policy of [STRICT, SANDBOX]) {
          const checked = checkUrl(text, policy)
          if ('refused' in checked)
            expect(checked.refused)
              .to.match(/^must /)
              .and.to.not.include('hunter2')
          else expect(checked.url.protocol).to.match(policy.allowPrivate ? /^https?:$/ : /^https:$/)
        }
      }),
      { numRuns: 1_000 },
    )
  })
})
