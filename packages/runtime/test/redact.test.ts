import { expect } from 'chai'
import { redact, redactedErrorMessage } from '../src/index.ts'

const KEY = 'cf_test_0123456789abc_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abc'

const WEBHOOK_SECRET = 'whsec_AbCdEfGh0123+/AbCdEfGh0123+/AbCdEfGh012345w='

const percentEncoded = (text: string) => Buffer.from(text).toString('hex').replace(/../g, '%$&')

describe('redact', () => {
  for (const [text, clean] of [
    ['postgres://postgres:hunter2@localhost:5432/payments', 'postgres://postgres:***@localhost:5432/payments'],
    ['amqp://guest:p@ss/word@broker:5672/vhost', 'amqp://guest:***@broker:5672/vhost'],
    ['amqps://:only@host', 'amqps://:***@host'],
    ['see postgres://a:b@c and amqp://d:e@f', 'see postgres://a:***@c and amqp://d:***@f'],
    ['at https://h/p?next=amqp://a:b@c@d then', 'at https://h/p?next=amqp://a:***@d then'],
    ['http://127.0.0.1:8080/payments', 'http://127.0.0.1:8080/payments'],
    ['postgres://h/d?password=hunter2&sslmode=require', 'postgres://h/d?password=***&sslmode=require'],
    ['postgres://u:p@h/d?a=1&sslpassword=x@y z', 'postgres://u:***@h/d?a=1&sslpassword=*** z'],
    ['postgres://h/d?PassFile=/run/secret', 'postgres://h/d?PassFile=***'],
    ['nothing to hide', 'nothing to hide'],
    [`${KEY}.`, 'cf_***.'],
    [`${KEY.toUpperCase()} and cf_live_1`, 'cf_*** and cf_***'],
    [`/payments/${KEY.slice(0, 30)}`, '/payments/cf_***'],
    [`Key (reference)=(${KEY}) exists`, 'Key (reference)=(cf_***) exists'],
    [`/payments/a%20b/${KEY.replaceAll('_', '%5F')}/%7A`, '/payments/a%20b/cf_***/%7A'],
    [`/${percentEncoded(KEY)}`, '/cf_***'],
    [`/${percentEncoded(KEY).replaceAll('%', '%25')}?${KEY}`, '/cf_***?cf_***'],
    [`cf_test_${percentEncoded(KEY.slice(8))}`, 'cf_***'],
    [`secret ${WEBHOOK_SECRET}, then`, 'secret whsec_***, then'],
    [`${WEBHOOK_SECRET.slice(0, 20)}`, 'whsec_***'],
    ['whsec_ is a prefix', 'whsec_ is a prefix'],
    ['cf_test_ is a prefix, 50%25 is a share', 'cf_test_ is a prefix, 50%25 is a share'],
  ] as const) {
    it(`shows ${JSON.stringify(clean)}`, () => {
      expect(redact(text)).to.equal(clean)
    })
  }

  for (const part of [
    'a',
    '://',
    '://:',
    '@',
    ':',
    '%',
    '%25',
    '25',
    '%63%66',
    'cf_',
    'cf_test_',
    'cf%2525',
    'whsec_',
    'whsec_=',
    '?password',
    '&password=***',
  ]) {
    it(`reads a long text of ${part} in linear time`, function () {
      this.timeout(2_000)
      const text = part.repeat(1_000_000)
      expect(redact(text)).to.have.length.of.at.most(text.length)
    })
  }

  it('hides fields that are named like a secret, at any depth, and keeps the rest', () => {
    const fields = {
      a: 1,
      deep: [{ password: 'x', DB_PASSWORD: 'x', PROVIDER_TOKEN: 'x', authorization: 'x', url: 'amqp://u:x@h' }],
      at: new Date(0),
    }
    expect(redact(fields)).to.deep.equal({
      a: 1,
      deep: [
        { password: '***', DB_PASSWORD: '***', PROVIDER_TOKEN: '***', authorization: '***', url: 'amqp://u:***@h' },
      ],
      at: new Date(0),
    })
  })

  it('shows an error and its causes without their passwords', () => {
    const cause = Object.assign(new Error('cannot reach amqp://u:secret@h'), { code: 'ECONNREFUSED' })
    const shown = JSON.stringify(redact(new Error('outer postgres://u:secret@h', { cause })))
    expect(shown).to.not.include('secret')
    expect(shown).to.include('ECONNREFUSED').and.to.include('outer')
  })

  it('stops in a structure that contains itself', () => {
    const loop: Record<string, unknown> = {}
    loop.self = loop
    expect(JSON.stringify(redact(loop))).to.include('[deep]')
  })
})

describe('redactedErrorMessage', () => {
  it('redactedErrorMessage is not empty for Node’s error of several addresses', () => {
    const error = new AggregateError([
      new Error('connect ECONNREFUSED ::1:5432'),
      new Error('connect ECONNREFUSED 127.0.0.1:5432'),
    ])
    expect(redactedErrorMessage(error)).to.equal('connect ECONNREFUSED ::1:5432; connect ECONNREFUSED 127.0.0.1:5432')
  })

  it('redactedErrorMessage is not empty for any thrown value', () => {
    expect(redactedErrorMessage('text')).to.equal('text')
    expect(redactedErrorMessage(undefined)).to.equal('undefined')
    expect(redactedErrorMessage(new TypeError())).to.equal('TypeError')
  })
})
