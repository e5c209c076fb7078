import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { openSocket } from '@cashflow/testing'
import { expect } from 'chai'
import { type LargeBodies, readBody } from '../src/json-body.ts'
import { Problem } from '../src/problem.ts'
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
  ['a hundred thousand numbers', `{"amount":[${'1,'.repeat(100_000)}1]}`],
  ['a hundred thousand objects', `{"amount":[${'{},'.repeat(100_000)}{}]}`],
]

describe('api: JSON body', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())
  const send = (contentType: string, body: string) =>
    api.agent.post('/payments').set('Content-Type', contentType).send(body)

  for (const [name, body] of MALFORMED) {
    it(`rejects ${name} as a JSON body with 400, and stores nothing`, async () => {
      expect(pointers(await post(api, body)))
        .to.be.an('array')
        .that.has.length(1)
      expect(await stored(api)).to.deep.equal({ payments: 0, events: 0, messages: 0 })
    })
  }

  it('rejects a JSON body in which a member occurs twice, also with one of the names escaped', async () => {
    const twice = '{"amount":1,"amount":2,"currency":"USD","reference":"\\"amount\\":","reference" : "r"}'
    expect(pointers(await post(api, twice))).to.deep.equal(['#/amount', '#/reference'])
    expect(pointers(await post(api, '{"amount":1,"\\u0061mount":2}'))).to.deep.equal(['#/amount'])
  })

  it('counts the same name at another depth of a JSON body, or inside a string, as no duplicate', async () => {
    const nested = '{"amount":{"amount":1,"x":[{"amount":2}]},"currency":"USD","reference":"\\"amount\\": \\\\"}'
    expect(pointers(await post(api, nested))).to.deep.equal(['#/amount'])
  })

  for (const contentType of [
    'application/json',
    'Application/JSON; Charset="UTF-8"',
    'application/json;charset=utf-8',
  ]) {
    it(`accepts a JSON body with the content type ${contentType}`, async () => {
      expect((await send(contentType, bodyWith())).status).to.equal(201)
    })
  }

  it('accepts a JSON body that begins with a byte order mark', async () => {
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
    it(`rejects a JSON body with the content type ${contentType} with 415`, async () => {
      const before = await stored(api)
      expectProblem(await send(contentType, bodyWith()), 415, 'unsupported-media-type')
      expect(await stored(api)).to.deep.equal(before)
    })
  }

  it('rejects a JSON body with 415 if its content type has thousands of characters', async () => {
    const long = `application/json;${' '.repeat(14_000)}charset=utf-8`
    expectProblem(await send(long, bodyWith()), 415, 'unsupported-media-type')
  })

  it('rejects a JSON body without a content type with 415', async () => {
    expectProblem(await api.agent.post('/payments').unset('Content-Type'), 415, 'unsupported-media-type')
  })

  it('rejects a compressed JSON body with 415, and never decompresses it', async () => {
    const bomb = gzipSync(Buffer.alloc(10_000_000, ' '))
    const response = await api.agent
      .post('/payments')
      .set({ 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' })
      .send(bomb)
    expectProblem(response, 415, 'unsupported-media-type')
    expect(response.headers['accept-encoding']).to.equal('identity')
  })

  it('accepts a JSON body of exactly 320 kB', async () => {
    expect((await post(api, bodyWith().padEnd(327_680))).status).to.equal(201)
  })

  for (const sizeBytes of [327_681, 1_000_000]) {
    it(`rejects a JSON body of ${sizeBytes} bytes with 413, with and without a Content-Length`, async () => {
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

describe('readBody', () => {
  const arriving = (largeBodies: LargeBodies, sizeBytes: number) => {
    const body = new PassThrough({ highWaterMark: 1_000_000 })
    const reading = readBody(Object.assign(body, { headers: {} }) as never, { largeBodies })
    body.write(Buffer.alloc(sizeBytes))
    return {
      body,
      result: reading.then(
        ({ length }) => length,
        (error: unknown) => error,
      ),
    }
  }

  // Promise 28
  it('rejects the large body that has been arriving longest when a hundred others arrive', async () => {
    const largeBodies: LargeBodies = new Set()
    const small = arriving(largeBodies, 16_384)
    const [first, ...others] = Array.from({ length: 101 }, () => arriving(largeBodies, 16_385))
    const refused = await first?.result
    if (!(refused instanceof Problem)) expect.fail(String(refused))
    expect(refused).to.have.property('code', 'overloaded')
    expect(refused.headers).to.deep.equal({ 'Retry-After': '1', Connection: 'close' })
    expect(largeBodies.size).to.equal(100)
    for (const { body } of [small, ...others]) body.end()
    expect(await Promise.all([small, ...others].map(({ result }) => result))).to.deep.equal([
      16_384,
      ...others.map(() => 16_385),
    ])
    expect(largeBodies.size).to.equal(0)
  })

  it('rejects a body that is too large once, and discards the rest of it', async () => {
    const body = new PassThrough()
    const reading = readBody(Object.assign(body, { headers: {} }) as never).catch((error: unknown) => error)
    body.write(Buffer.alloc(330_000))
    expect(await reading).to.have.property('code', 'payload-too-large')
    expect(body.listenerCount('data')).to.equal(0)
    body.end(Buffer.alloc(1_000_000))
    await once(body, 'end')
  })

  // Promise 28
  it('rejects a body that does not arrive in time, and closes its connection', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const client = openSocket(`http://127.0.0.1:${port}`)
    client.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"a"')
    const [req] = await once(server, 'request')
    const error = await readBody(req, { deadlineMs: 50 }).catch((reason: unknown) => reason)
    if (!(error instanceof Problem)) expect.fail(String(error))
    expect(error).to.have.property('code', 'request-timeout')
    expect(error.headers).to.deep.equal({ Connection: 'close' })
    client.destroy()
    server.close()
    await once(server, 'close')
  })
})
