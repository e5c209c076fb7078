import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { expect } from 'chai'
import { bodyWith, expectProblem, pointers, post, stored } from './requests.ts'
import { type ApiUnderTest, startApi } from './start-api.ts'

const MALFORMED: [name: string, body: string | Buffer][] = [
  ['an empty body', ''],
  ['blanks', '  \n'],
  ['half an object', '{"amount": 1'],
  ['a trailing comma', '{"amount": 1,}'],
  ['single quotes', "{'amount': 1}"],
  ['two objects', '{}{}'],
  ['a number with a leading zero', '{"amount": 01}'],
  ['a number with a plus sign', '{"amount": +1}'],
  ['a number without a fraction', '{"amount": 1.}'],
  ['NaN', '{"amount": NaN}'],
  ['an array', '[]'],
  ['a number', '5'],
  ['a string', '"{}"'],
  ['null', 'null'],
  ['a form', 'amount=1&currency=USD'],
  ['bytes that are no UTF-8', Buffer.from('{"reference": "\xff"}', 'latin1')],
  ['UTF-16', Buffer.from('{"amount": 1}', 'utf16le')],
  ['thousands of brackets', `${'['.repeat(8_000)}${']'.repeat(8_000)}`],
  ['thousands of brackets in an object', `{"amount":${'['.repeat(8_000)}${']'.repeat(8_000)}}`],
]

describe('A JSON body', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())
  const send = (contentType: string, body: string) =>
    api.agent.post('/payments').set('Content-Type', contentType).send(body)

  for (const [name, body] of MALFORMED) {
    it(`that is ${name} is refused with 400 and stores nothing`, async () => {
      expect(pointers(await post(api, body)))
        .to.be.an('array')
        .that.has.length(1)
      expect(await stored(api)).to.deep.equal({ payments: 0, events: 0, messages: 0 })
    })
  }

  it('that has a member twice is refused, whichever it means, also when one is escaped', async () => {
    const twice = '{"amount":1,"amount":2,"currency":"USD","reference":"\\"amount\\":","reference" : "r"}'
    expect(pointers(await post(api, twice))).to.deep.equal(['#/amount', '#/reference'])
    expect(pointers(await post(api, '{"amount":1,"\\u0061mount":2}'))).to.deep.equal(['#/amount'])
  })

  it('may have the same name at different depths, and names in its texts', async () => {
    const nested = '{"amount":{"amount":1,"x":[{"amount":2}]},"currency":"USD","reference":"\\"amount\\": \\\\"}'
    expect(pointers(await post(api, nested))).to.deep.equal(['#/amount'])
  })

  for (const contentType of [
    'application/json',
    'Application/JSON; Charset="UTF-8"',
    'application/json;charset=utf-8',
  ]) {
    it(`may come as ${contentType}`, async () => {
      expect((await send(contentType, bodyWith())).status).to.equal(201)
    })
  }

  it('may begin with a byte order mark', async () => {
    expect((await post(api, `\ufeff${bodyWith()}`)).status).to.equal(201)
  })

  for (const contentType of [
    ...[
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/vnd.api+json',
      'multipart/form-data; boundary=x',
    ],
    ...['application/json; charset=utf-16', 'application/json; charset=latin1', 'json', 'application/jsonp', '*/*'],
  ]) {
    it(`as ${contentType} is refused with 415`, async () => {
      const before = await stored(api)
      expectProblem(await send(contentType, bodyWith()), 415, 'unsupported-media-type')
      expect(await stored(api)).to.deep.equal(before)
    })
  }

  it('with a type of thousands of characters is refused with 415, whatever it says', async () => {
    const long = `application/json;${' '.repeat(14_000)}charset=utf-8`
    expectProblem(await send(long, bodyWith()), 415, 'unsupported-media-type')
  })

  it('without a type is refused with 415', async () => {
    expectProblem(await api.agent.post('/payments').unset('Content-Type'), 415, 'unsupported-media-type')
  })

  it('that is compressed is refused with 415, so nothing is ever unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(10_000_000, ' '))
    const response = await api.agent
      .post('/payments')
      .set({ 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' })
      .send(bomb)
    expectProblem(response, 415, 'unsupported-media-type')
    expect(response.headers['accept-encoding']).to.equal('identity')
  })

  it('of exactly 16 kB is read', async () => {
    expect((await post(api, bodyWith().padEnd(16_384))).status).to.equal(201)
  })

  for (const sizeBytes of [16_385, 1_000_000]) {
    it(`of ${sizeBytes} bytes is refused with 413, of known length or not`, async () => {
      const before = await stored(api)
      expectProblem(await post(api, bodyWith().padEnd(sizeBytes)), 413, 'payload-too-large')
      const chunked = await fetch(`${api.http.url}/payments`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: Readable.from([Buffer.alloc(sizeBytes, ' ')]),
        duplex: 'half',
      })
      expect(chunked.status).to.equal(413)
      expect(await chunked.json()).to.include({ code: 'payload-too-large' })
      expect(await stored(api)).to.deep.equal(before)
    })
  }
})
