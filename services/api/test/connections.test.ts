import { once } from 'node:events'
import type { RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { defined } from '@cashflow/async'
import type { Logger } from '@cashflow/runtime'
import { eventually, openSocket } from '@cashflow/testing'
import { expect } from 'chai'
import { type HttpComponent, httpComponent } from '../src/http-component.ts'
import { createTestCertificates } from './test-certificates.ts'

const CONNECTIONS_MAX = 10
const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
const LAST = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
const HELD = 'GET /held HTTP/1.1\r\nHost: x\r\n\r\n'
// More than the buffers of a connection have, and on all connections together less than the api allows to be unread.
const LARGE = Buffer.alloc(12e6)
const LOGGED = 'connections closed: the limit is reached'

interface Client {
  socket: Socket
  received: string
  closed: boolean
}

for (const scheme of ['http', 'https'] as const)
  describe(`${scheme.toUpperCase()} server at its connection limit`, () => limitTests(scheme))

function limitTests(scheme: 'http' | 'https'): void {
  const tls = createTestCertificates()
  let http: HttpComponent
  let clients: Client[]
  let held: ServerResponse[]
  let begun: number
  let lines: { message: string; closed_idle: number; closed_slow: number; refused: number }[]
  const logger = {
    ...{ debug() {}, info() {}, error() {} },
    warn: (message: string, fields: object) => void lines.push({ message, ...fields } as (typeof lines)[0]),
  } as Logger

  const app: RequestListener = async (req, res) => {
    begun += 1
    for await (const _ of req);
    if (req.url === '/held') held.push(res)
    else res.end(req.url === '/large' ? LARGE : 'served')
  }
  beforeEach(async () => {
    clients = []
    held = []
    lines = []
    begun = 0
    const certificates = scheme === 'https' ? tls.certificates : undefined
    http = httpComponent(app, { host: '127.0.0.1', port: 0, certificates, logger, connectionsMax: CONNECTIONS_MAX })
    await http.start(new AbortController().signal)
  })
  afterEach(() => stop())

  /** Disconnects the clients first: the server would wait for the requests that they have begun. */
  async function stop(): Promise<void> {
    for (const { socket } of clients) socket.destroy()
    await http.stop()
  }

  async function open(bytes = ''): Promise<Client> {
    const socket = openSocket(http.url)
    const client: Client = { socket, received: '', closed: false }
    clients.push(client)
    socket.on('data', (chunk) => {
      client.received += chunk
    })
    socket.on('close', () => {
      client.closed = true
    })
    await once(socket, 'connect')
    socket.write(bytes)
    return client
  }

  /** The answer to a request on a new connection, or nothing if the server closes the connection. */
  async function exchange(bytes = LAST): Promise<string> {
    const socket = openSocket(http.url)
    socket.write(bytes)
    return await text(socket).catch(() => '')
  }

  /** Opens a connection that is idle: kept alive after its answer. */
  async function openIdle(): Promise<Client> {
    const client = await open(GET)
    await eventually(() => expect(client.received).to.match(/served$/))
    return client
  }

  async function openHeld(): Promise<Client> {
    const before = held.length
    const client = await open(HELD)
    await eventually(() => expect(held.length).to.equal(before + 1))
    return client
  }

  /** Opens a connection on which a request's headers have arrived. Its body never ends. */
  async function openSlow(): Promise<Client> {
    const before = begun
    const client = await open('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx')
    await eventually(() => expect(begun).to.equal(before + 1))
    return client
  }

  const areClosed = (...some: Client[]) =>
    eventually(() => expect(some.map(({ closed }) => closed)).to.deep.equal(some.map(() => true)))
  const stillOpen = () => clients.filter(({ closed }) => !closed)
  const total = () => {
    const sum = { closed_idle: 0, closed_slow: 0, refused: 0 }
    for (const line of lines) {
      expect(line.message).to.equal(LOGGED)
      for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += line[key]
    }
    return sum
  }
  async function times<Item>(count: number, make: () => Promise<Item>): Promise<Item[]> {
    const items: Item[] = []
    for (let i = 0; i < count; i++) items.push(await make())
    return items
  }

  // Promise 28
  it('closes the connection that has been idle for the longest time when a new one arrives', async () => {
    const [first, second, third] = (await times(CONNECTIONS_MAX, openIdle)) as [Client, Client, Client]
    first.socket.write(GET)
    await eventually(() => expect(first.received.match(/served/g)).to.have.length(2))
    expect(await exchange()).to.match(/served$/)
    await areClosed(second)
    expect(stillOpen()).to.have.length(CONNECTIONS_MAX - 1)
    await times(2, openIdle)
    await areClosed(third)
    expect(first.closed).to.equal(false)
  })

  // Promise 28
  it('closes idle connections before connections with an incomplete request, or without any request yet', async () => {
    const slow = [await open(), await openSlow(), await open('GET / HTTP/1.1\r\nHost')]
    const idle = await times(CONNECTIONS_MAX - slow.length, openIdle)
    await times(idle.length, openSlow)
    await areClosed(...idle)
    expect(stillOpen()).to.include.members(slow)
    await stop()
    expect(total()).to.deep.equal({ closed_idle: idle.length, closed_slow: 0, refused: 0 })
  })

  // Promise 28
  it('closes the connections that have been longest without a complete request if none is idle', async () => {
    const slow = [await open(), await openSlow(), await open('GET / HTTP/1.1\r\nHost')]
    const later = await times(CONNECTIONS_MAX - slow.length, openSlow)
    for (const client of slow) {
      expect(stillOpen()).to.include(client).and.to.have.length(CONNECTIONS_MAX)
      client.socket.write('x') // One more byte does not complete the request.
      await openSlow()
      await areClosed(client)
    }
    expect(later.map(({ closed }) => closed)).not.to.include(true)
    await stop()
    expect(total()).to.deep.equal({ closed_idle: 0, closed_slow: slow.length, refused: 0 })
  })

  // Promise 28
  it('never closes a connection whose complete request has no answer yet', async () => {
    const waiting = await times(2, openHeld)
    for (const make of [openIdle, openSlow, open]) {
      await times(2 * CONNECTIONS_MAX, make)
      expect(await exchange()).to.match(/served$/)
    }
    expect(waiting.map(({ closed }) => closed)).to.deep.equal([false, false])
    for (const res of held) res.end('at last')
    await eventually(() => expect(waiting.map(({ received }) => /at last$/.test(received))).to.deep.equal([true, true]))
  })

  it('keeps a connection with an unanswered request behind an answered one, or before an incomplete one', async () => {
    const pipelined = await open(GET + HELD + GET)
    const followed = await open(`${HELD}POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx`)
    await eventually(() => expect(held).to.have.length(2))
    await times(2 * CONNECTIONS_MAX, openSlow)
    expect([pipelined.closed, followed.closed]).to.deep.equal([false, false])
    for (const res of held) res.end('at last')
    await eventually(() => expect(pipelined.received).to.match(/at last[\s\S]*served$/))
    await eventually(() => expect(followed.received).to.match(/at last$/))
  })

  // Promise 28
  it('refuses a new connection only while every other one has an unanswered request', async () => {
    const waiting = await times(CONNECTIONS_MAX, openHeld)
    expect(await exchange()).to.equal('')
    held[0]?.end('at last')
    await eventually(() => expect(waiting[0]?.received).to.match(/at last$/))
    expect(await exchange()).to.match(/served$/)
    await areClosed(defined(waiting[0], 'client that waits'))
    await stop()
    expect(total()).to.deep.equal({ closed_idle: 1, closed_slow: 0, refused: 1 })
  })

  // Promise 28
  it('closes a connection whose client does not read its answer', async () => {
    const unread = await times(CONNECTIONS_MAX, async () => {
      const client = await open()
      const before = begun
      client.socket.pause()
      client.socket.write('GET /large HTTP/1.1\r\nHost: x\r\n\r\n')
      await eventually(() => expect(begun).to.equal(before + 1))
      return client
    })
    expect(await exchange()).to.match(/served$/)
    unread[0]?.socket.resume()
    await areClosed(defined(unread[0], 'client that reads nothing'))
    await stop()
    expect(total()).to.deep.equal({ closed_idle: 0, closed_slow: 1, refused: 0 })
  })

  // Promise 28
  it('loses no byte of the answers on the connections that it closes', async () => {
    const waiting = await times(CONNECTIONS_MAX, openHeld)
    const large = 'x'.repeat(100_000)
    for (const res of held) res.end(large)
    const newer = await times(CONNECTIONS_MAX, openIdle)
    await areClosed(...waiting)
    for (const { received } of waiting) expect(received.endsWith(large)).to.equal(true)
    expect(newer.map(({ closed }) => closed)).not.to.include(true)
  })

  // Promise 28
  it('logs a flood of connections in one line every 10 s, and counts each connection', async () => {
    const startedAt = performance.now()
    await times(300, open)
    await stop()
    const linesMax = 2 + Math.floor((performance.now() - startedAt) / 10_000)
    expect(lines.length).to.be.within(1, linesMax)
    expect(total()).to.deep.equal({ closed_idle: 0, closed_slow: 290, refused: 0 })
  })
}
