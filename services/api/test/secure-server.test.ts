import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { pause } from '@cashflow/async'
import { nullLogger, openSocket, startStopwatch } from '@cashflow/testing'
import { expect } from 'chai'
import { type HttpComponent, type HttpOptions, httpComponent } from '../src/http-component.ts'
import { createTestCertificates } from './test-certificates.ts'

const LAST = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'

describe('HTTPS server', () => {
  const tls = createTestCertificates()
  let http: HttpComponent
  let sockets: Socket[]

  async function serve(options: Partial<HttpOptions> = {}, app: RequestListener = (_req, res) => res.end('served')) {
    sockets = []
    const { certificates } = tls
    http = httpComponent(app, { host: '127.0.0.1', port: 0, certificates, logger: nullLogger, ...options })
    await http.start(new AbortController().signal)
  }
  afterEach(async () => {
    for (const socket of sockets) socket.destroy()
    await http.stop()
  })

  const port = () => Number(new URL(http.url).port)
  /** A TCP connection on which no handshake has begun. */
  async function openPlain(): Promise<Socket> {
    const socket = openSocket(http.url.replace('https:', 'http:'))
    sockets.push(socket)
    await once(socket, 'connect')
    return socket
  }
  /** A verified connection, after its handshake. */
  async function open(options: ConnectionOptions = {}): Promise<TLSSocket> {
    const ca = readFileSync(tls.authority.ca)
    const socket = connect({ host: '127.0.0.1', port: port(), ca, ...options }).on('error', () => {})
    sockets.push(socket)
    await once(socket, 'secureConnect')
    return socket
  }
  async function exchange(): Promise<string> {
    const socket = await open()
    socket.write(LAST)
    return await text(socket)
  }

  // Promise 111
  it('HTTPS server: answers over TLS 1.3 and 1.2, with HTTP/1.1, and refuses TLS 1.1', async () => {
    await serve()
    expect(http.url).to.match(/^https:/)
    expect(await exchange()).to.match(/^HTTP\/1\.1 200 [\s\S]*served$/)
    expect((await open()).getProtocol()).to.equal('TLSv1.3')
    expect((await open({ maxVersion: 'TLSv1.2' })).getProtocol()).to.equal('TLSv1.2')
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' } as const
    expect((await open(old).catch((error) => error)).code).to.match(/PROTOCOL_VERSION/)
    const h2 = await open({ ALPNProtocols: ['h2', 'http/1.1'] })
    expect(h2.alpnProtocol).to.equal('http/1.1')
  })

  for (const [what, send] of [
    ['never speaks TLS', () => {}],
    ['sends a handshake byte by byte', drip],
  ] satisfies [string, (socket: Socket) => void][]) {
    // Promises 28, 111
    it(`HTTPS server: disconnects a client that ${what}, in the time for headers`, async () => {
      await serve({ headersMs: 500 })
      const stopwatch = startStopwatch()
      const socket = await openPlain()
      send(socket)
      await text(socket).catch(() => '')
      expect(stopwatch.stop()).to.be.within(400, 20_000)
    })
  }

  // Promises 28, 111
  it('HTTPS server: closes the oldest handshakes for new connections at its limit', async () => {
    const lines: object[] = []
    const logger = { ...nullLogger, warn: (_message: string, fields?: object) => void lines.push({ ...fields }) }
    await serve({ connectionsMax: 3, logger })
    const idle: Socket[] = []
    for (let i = 0; i < 5; i++) idle.push(await openPlain())
    const closed = idle.map((socket) => once(socket.resume(), 'close'))
    expect(await exchange()).to.match(/served$/)
    await Promise.all(closed.slice(0, 3))
    expect(idle.slice(3).map(({ destroyed }) => destroyed)).to.deep.equal([false, false])
    for (const socket of idle) socket.destroy()
    await http.stop()
    const count = (lines as { closed_slow: number }[]).reduce((sum, line) => sum + line.closed_slow, 0)
    expect(count).to.equal(3)
  })

  // Promise 111
  it('HTTPS server: ends a connection that speaks plain HTTP, and answers others', async () => {
    await serve()
    const socket = await openPlain()
    socket.write(LAST)
    expect(await text(socket).catch(() => '')).not.to.match(/served/)
    const garbage = await openPlain()
    garbage.write(Buffer.alloc(100_000, 0x16))
    await text(garbage).catch(() => '')
    expect(await exchange()).to.match(/served$/)
  })

  // Promise 24
  it('HTTPS server: stops without waiting for a client in its handshake, and answers the request in flight', async () => {
    const begun = Promise.withResolvers<() => void>()
    await serve({}, (_req, res) => begun.resolve(() => res.end('served')))
    const silent = await openPlain()
    const socket = await open()
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    const answered = text(socket)
    const answer = await begun.promise
    const stopwatch = startStopwatch()
    const stopped = http.stop()
    await once(silent.resume(), 'close')
    answer()
    expect(await answered).to.match(/connection: close[\s\S]*served$/i)
    await stopped
    expect(stopwatch.stop()).to.be.below(8_000)
  })

  it('HTTPS server: answers broken HTTP with 400 and a problem', async () => {
    await serve()
    const socket = await open()
    socket.write('HELO example.org\r\n\r\n')
    expect(await text(socket)).to.match(/^HTTP\/1\.1 400 [\s\S]*bad-request/)
  })

  it('HTTPS server: forgets connections that end in their handshake', async () => {
    await serve({ connectionsMax: 2 })
    const kept = await open()
    for (let i = 0; i < 6; i++) {
      const socket = await openPlain()
      socket.end(Buffer.from('160301', 'hex'))
      await text(socket).catch(() => '')
    }
    kept.write(LAST)
    expect(await text(kept)).to.match(/served$/)
  })
})

/** The beginning of a ClientHello, whose record would have 16 kB. */
async function drip(socket: Socket): Promise<void> {
  socket.write(Buffer.from('1603014000', 'hex'))
  while (!socket.destroyed) {
    socket.write(Buffer.from([1]))
    await pause(20)
  }
}
