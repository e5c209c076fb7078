import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  brokerEnv,
  brokerTls,
  brokerUrls,
  type ConfigError,
  createBrokerTls,
  parseEnv,
  withBrokerRules,
} from '@cashflow/runtime'
import { expect } from 'chai'
import * as z from 'zod'
import { type Authority, createAuthority, type IssuedFiles, nullLogger } from '../src/index.ts'

const read = (env: Record<string, string>) => parseEnv(withBrokerRules(z.object(brokerEnv)), env)

const tls = (env: Record<string, string>) => ({ MQ_TLS: 'yes', ...env })

function refusal(env: Record<string, string>): string {
  try {
    return `taken as ${brokerUrls(read(env))}`
  } catch (error) {
    return (error as ConfigError).message
  }
}

describe('settings of TLS to RabbitMQ', () => {
  let folder: string
  let authority: Authority
  let one: IssuedFiles
  let other: IssuedFiles
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cashflow-mq-tls-'))
    authority = await createAuthority(folder)
    one = await authority.issue('one')
    other = await authority.issue('other')
    writeFileSync(join(folder, 'empty.pem'), '')
  })
  after(() => rm(folder, { recursive: true, force: true }))

  it('MQ_TLS=yes makes the MQ_ settings an amqps URL, with the port of MQ_PORT', () => {
    expect(brokerUrls(read({ MQ_TLS: 'yes', MQ_HOST: 'a,b:5671' }))).to.deep.equal([
      'amqps://guest:guest@a:5672/',
      'amqps://guest:guest@b:5671/',
    ])
    expect(brokerUrls(read({ MQ_TLS: 'no', RABBITMQ_URL: 'amqps://a/' }))).to.deep.equal(['amqps://a/'])
  })

  it('reads the files and the name of TLS to RabbitMQ, and passes on what each new connection needs', () => {
    const files = { MQ_TLS_CA: authority.ca, MQ_TLS_CERT: one.cert, MQ_TLS_KEY: one.key }
    const settings = brokerTls(
      read({ RABBITMQ_URL: 'amqps://a/,amqps://b/', MQ_TLS_SERVERNAME: 'mq.internal', ...files }),
    )
    expect(settings).to.deep.equal({ ca: authority.ca, ...one, servername: 'mq.internal' })
    expect(createBrokerTls(settings, nullLogger)()).to.have.all.keys('ca', 'cert', 'key', 'servername')
    expect(createBrokerTls(brokerTls(read({})), nullLogger)()).to.deep.equal({})
  })

  const CASES: [what: string, env: () => Record<string, string>, reason: RegExp][] = [
    ['MQ_TLS=true', () => ({ MQ_TLS: 'true' }), /MQ_TLS: must be yes or no/],
    ['MQ_TLS=yes with an amqp URL', () => ({ MQ_TLS: 'yes', RABBITMQ_URL: 'amqp://a/' }), /MQ_TLS: yes needs amqps:/],
    ['one amqp URL of two', () => ({ RABBITMQ_URL: 'amqps://a/,amqp://b/' }), /RABBITMQ_URL: must not have both amqp:/],
    [
      'an authority without TLS',
      () => ({ MQ_TLS_CA: authority.ca }),
      /MQ_TLS_CA: has no effect without TLS: set MQ_TLS/,
    ],
    [
      'an authority with an amqp URL',
      () => ({ MQ_TLS_CA: authority.ca, RABBITMQ_URL: 'amqp://a/' }),
      /MQ_TLS_CA: has no effect without TLS/,
    ],
    ['a server name without TLS', () => ({ MQ_TLS_SERVERNAME: 'mq' }), /MQ_TLS_SERVERNAME: has no effect without TLS/],
    [
      'an address as a server name',
      () => tls({ MQ_TLS_SERVERNAME: '10.0.0.1' }),
      /MQ_TLS_SERVERNAME: must be a host name/,
    ],
    ['a port in a server name', () => tls({ MQ_TLS_SERVERNAME: 'mq:5671' }), /MQ_TLS_SERVERNAME: must be a host name/],
    [
      'a missing file',
      () => tls({ MQ_TLS_CA: join(folder, 'none.pem') }),
      /MQ_TLS_CA: the file .* cannot be read: ENOENT/,
    ],
    ['an empty file', () => tls({ MQ_TLS_CA: join(folder, 'empty.pem') }), /MQ_TLS_CA: the file .* has no certificate/],
    ['a certificate without its key', () => tls({ MQ_TLS_CERT: one.cert }), /MQ_TLS_CERT: needs MQ_TLS_KEY as well/],
    ['a key without its certificate', () => tls({ MQ_TLS_KEY: one.key }), /MQ_TLS_CERT: needs MQ_TLS_CERT as well/],
    [
      'the key of another certificate',
      () => tls({ MQ_TLS_CERT: one.cert, MQ_TLS_KEY: other.key }),
      /MQ_TLS_CERT: .* is not the private key of/,
    ],
  ]
  for (const [what, env, reason] of CASES) {
    // Promise 64
    it(`rejects ${what} for RabbitMQ in one line that names the setting`, () => {
      const message = refusal(env())
      expect(message).to.match(reason)
      expect(message.split('\n')).to.have.length(2)
    })
  }
})
