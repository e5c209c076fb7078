import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { eventually, nullLogger, openSocket, startStopwatch } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { bodyWith, newReference, post } from './requests.ts'
import { type ApiUnderTest, startApi } from './start-api.ts'

describe('HTTP server', () => {
  let api: ApiUnderTest
  beforeEach(async () => {
    api = await startApi()
  })
  afterEach(() => api.stop())

  /** The server's answer to these bytes, until it closes the connection. */
  async function exchange(bytes: string): Promise<string> {
    const socket = openSocket(api.http.url)
    socket.write(bytes)
    return await text(socket)
  }

  const BROKEN: [name: string, bytes: string, status: number, code: string][] = [
    ['what is not HTTP', 'HELO example.org\r\n\r\n', 400, 'bad-request'],
    ['an unknown method', 'BREW /payments HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'bad-request'],
    [
      'two lengths',
      'POST /payments HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      400,
      'bad-request',
    ],
    ['a request without a host', 'GET /health HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'bad-request'],
    [
      'headers over 16 kB',
      `GET /health HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
      431,
      'headers-too-large',
    ],
    ['a chunk of no length', 'POST /payments HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n', 400, 'bad-request'],
  ]
  for (const [name, bytes, status, code] of BROKEN) {
    it(`answers ${name} with ${status} and a problem`, async () => {
      const [head = '', body = ''] = (await exchange(bytes)).split('\r\n\r\n')
      expect(head).to.match(new RegExp(`^HTTP/1.1 ${status} `))
      expect(head).to.match(/^content-type: application\/problem\+json/im)
      const requestId = /^request-id: (.+)$/im.exec(head)?.[1]
      expect(JSON.parse(body)).to.include({ status, code, request_id: requestId })
    })
  }

  it('answers a request that broken bytes follow, and then closes the connection', async () => {
    const body = bodyWith()
    const head = `POST /payments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`
    const answer = await exchange(`${head}\r\n\r\n${body}BROKEN\r\n\r\n`)
    expect(answer).to.match(/^HTTP\/1.1 201 /)
    expect(answer.match(/HTTP\/1.1/g)).to.have.length(1)
  })

  it('ignores an unknown Expect header', async () => {
    const answer = await exchange('GET /health HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\nConnection: close\r\n\r\n')
    expect(answer).to.match(/^HTTP\/1.1 200 /)
  })

  it('answers OPTIONS * with 404 and a Request-Id', async () => {
    const answer = await exchange('OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    expect(answer)
      .to.match(/^HTTP\/1.1 404 /)
      .and.to.match(/request-id/i)
  })

  it('goes on after a client has left in the middle of a body', async () => {
    const socket = openSocket(api.http.url)
    socket.end('POST /payments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{')
    await eventually(() => {
      expect(api.logs.map(({ message }) => message)).to.include('request abandoned by its client')
    })
    expect(api.logs.filter(({ level }) => level !== 'info')).to.deep.equal([])
    expect((await post(api, bodyWith())).status).to.equal(201)
  })

  // Promise 24
  it('answers the requests in flight on stop, accepts no new ones, and may be stopped twice', async () => {
    const reference = newReference()
    const agent = new Agent({ keepAlive: true })
    const headers = { 'Content-Type': 'application/json' }
    const url = `${api.http.url}/payments`
    const stopped = await api.db.transaction().execute(async (tx) => {
      // Holds the request in the middle of its transaction.
      await sql`lock table outbox_messages in exclusive mode`.execute(tx)
      const response = once(request(url, { method: 'POST', headers, agent }).end(bodyWith({ reference })), 'response')
      await eventually(async () => {
        const { rows } = await sql`select 1 from pg_locks l join pg_class c on c.oid = l.relation
          where not l.granted and c.relname = 'outbox_messages'`.execute(api.db)
        expect(rows).to.have.length(1)
      })
      return { response, stop: Promise.all([api.http.stop(), api.http.stop()]) }
    })
    const [response] = await stopped.response
    expect(response.statusCode).to.equal(201)
    expect(response.headers.connection).to.equal('close')
    response.resume()
    await stopped.stop
    agent.destroy()
    const refused = await once(openSocket(url), 'connect').catch((error) => error.code)
    expect(refused).to.equal('ECONNREFUSED')
  })

  it('stops without waiting for a client that has not sent its whole request', async () => {
    const sockets = ['', 'GET /health HTTP/1.1\r\nHost'].map((bytes) => {
      const socket = openSocket(api.http.url)
      socket.write(bytes)
      return socket
    })
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    await api.agent.get('/health')
    const ended = sockets.map((socket) => once(socket, 'close'))
    const stopwatch = startStopwatch()
    await api.http.stop()
    await Promise.all(ended)
    expect(stopwatch.stop()).to.be.lessThan(8_000) // The server's deadlines are longer.
  })

  it('cannot start on a port that is taken, and fails with EADDRINUSE', async () => {
    const { httpComponent } = await import('../src/http-component.ts')
    const second = httpComponent(() => {}, {
      host: '127.0.0.1',
      port: Number(new URL(api.http.url).port),
      logger: nullLogger,
    })
    const error = await second.start(new AbortController().signal).catch((reason: Error) => reason)
    expect(error).to.have.property('code', 'EADDRINUSE')
    await second.stop()
  })
})
