import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { type Attempt, createSender, type Sender } from '../src/index.ts'

const DEADLINE_MS = 700
const TIMEOUT = 'timeout: no answer within 0.7 s'

describe('endpoints that mean harm', () => {
  let sender: Sender
  let server: Server
  const sockets = new Set<Socket>()

  beforeEach(() => {
    sender = createSender({ policy: { allowPrivate: true }, deadlineMs: DEADLINE_MS })
  })
  afterEach(async () => {
    await sender.close()
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })

  /** Posts to an endpoint that runs `script` for a connection once the request's first bytes are there. */
  async function post(script: (socket: Socket) => void): Promise<Attempt> {
    server = createServer((socket) => {
      sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)))
      socket.once('data', () => script(socket))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const attempt = await sender.post(`http://127.0.0.1:${port}/`, {}, '{}')
    expect(attempt.durationMs).to.be.lessThan(DEADLINE_MS + 500)
    await eventually(async () => expect(sockets.size, 'connections left open').to.equal(0))
    return attempt
  }

  const text = (content: string) => (socket: Socket) => void socket.end(content)

  /** Writes as much as the connection takes, forever. @returns the bytes that were taken */
  function flood(socket: Socket, chunk: string | Buffer): () => number {
    const more = () => {
      while (!socket.destroyed && socket.write(chunk));
    }
    socket.on('drain', more)
    more()
    return () => socket.bytesWritten - socket.writableLength
  }

  function drip(socket: Socket, chunk: string, everyMs = 50): void {
    const timer = setInterval(() => socket.write(chunk), everyMs)
    socket.on('close', () => clearInterval(timer))
  }

  const OK = 'HTTP/1.1 200 OK\r\n'

  // Promise 123
  it('sender: ends at the deadline where an endpoint never answers', async () => {
    expect(await post(() => {})).to.include({ error: TIMEOUT })
  })

  it('sender: ends at the deadline where an endpoint sends a byte of its headers now and then', async () => {
    const attempt = await post((socket) => {
      socket.write(`${OK}X-Slow: `)
      drip(socket, 'x')
    })
    expect(attempt).to.include({ error: TIMEOUT })
  })

  it('sender: counts the status, and keeps what came, where a body is a byte now and then', async () => {
    const attempt = await post((socket) => {
      socket.write(`${OK}Content-Length: 1000000\r\n\r\n`)
      drip(socket, 'x')
    })
    expect(attempt).to.have.property('status', 200)
    expect(attempt).to.have.property('answer').that.matches(/^x+$/)
  })

  // Promise 123
  it('sender: reads no more than 64 kB of an endless body, and counts its status', async () => {
    let taken = () => 0
    const attempt = await post((socket) => {
      socket.write(`${OK}Content-Length: 1000000000\r\n\r\n`)
      taken = flood(socket, Buffer.alloc(65_536, 'y'))
    })
    expect(attempt).to.have.property('status', 200)
    expect(attempt).to.have.property('answer', 'y'.repeat(1_024))
    expect(attempt.durationMs).to.be.lessThan(DEADLINE_MS)
    // The buffers of two sockets hold the rest.
    expect(taken()).to.be.lessThan(16_000_000)
  })

  for (const [what, head, chunk] of [
    ['endless headers', OK, `X-Header: ${'h'.repeat(1_000)}\r\n`],
    ['one endless header', `${OK}X-Header: `, 'h'.repeat(1_000)],
    ['an endless status line', 'HTTP/1.1 200 ', 'O'.repeat(1_000)],
    ['endless 100 Continue', '', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100)],
    ['endless 102 Processing', '', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(100)],
    ['endless 103 Early Hints', '', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(100)],
    ['endless line breaks', '', '\r\n'.repeat(2_000)],
  ] as const)
    it(`sender: breaks off an answer with ${what}`, async () => {
      let taken = () => 0
      const attempt = await post((socket) => {
        socket.write(head)
        taken = flood(socket, chunk)
      })
      expect(attempt)
        .to.have.property('error')
        .that.matches(/^bad answer: /)
      expect(attempt.durationMs).to.be.lessThan(DEADLINE_MS)
      expect(taken()).to.be.lessThan(16_000_000)
    })

  for (const [what, head, chunk] of [
    ['an endless chunk extension', `${OK}Transfer-Encoding: chunked\r\n\r\n1;`, 'e'.repeat(1_000)],
    ['endless chunks of one byte', `${OK}Transfer-Encoding: chunked\r\n\r\n`, '1\r\nz\r\n'.repeat(300)],
    ['an endless trailer', `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nX-T: `, 't'.repeat(1_000)],
    ['endless trailers', `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n`, `X-T: ${'t'.repeat(1_000)}\r\n`],
  ] as const)
    it(`sender: breaks off a body with ${what}, and counts its status`, async () => {
      let taken = () => 0
      const attempt = await post((socket) => {
        socket.write(head)
        taken = flood(socket, chunk)
      })
      expect(attempt).to.have.property('status', 200)
      expect(attempt.durationMs).to.be.lessThan(DEADLINE_MS)
      expect(taken()).to.be.lessThan(16_000_000)
    })

  for (const [what, script, error] of [
    ['closes without an answer', text(''), 'connection closed: the endpoint closed it without an answer'],
    ['closes in its headers', text(`${OK}X-Cut: `), 'connection closed: the endpoint closed it without an answer'],
    [
      'resets',
      (socket: Socket) => void socket.resetAndDestroy(),
      'connection closed: the endpoint closed it without an answer',
    ],
    ['does not speak HTTP', text('220 mail.example ESMTP\r\n'), 'bad answer: not HTTP'],
    ['answers with HTTP/2', text('\0\0\x12\x04\0\0\0\0\0'), 'bad answer: not HTTP'],
    ['sends two lengths', text(`${OK}Content-Length: 2\r\nContent-Length: 3\r\n\r\nab`), 'bad answer: not HTTP'],
    [
      'changes the protocol',
      (socket: Socket) => void socket.write('HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
      'bad answer: it changes the protocol',
    ],
  ] as const)
    it(`sender: names what is wrong where an endpoint ${what}`, async () => {
      expect(await post(script)).to.include({ error })
    })

  for (const [what, rest] of [
    ['a body that is cut off', 'Content-Length: 100\r\n\r\nbegin'],
    ['a chunk that is cut off', 'Transfer-Encoding: chunked\r\n\r\nff\r\nbegin'],
    ['chunks that are not chunks', 'Transfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\nzz\r\n'],
    ['a body that ends with the connection', '\r\nbegin'],
  ] as const)
    it(`sender: counts the status of an answer with ${what}`, async () => {
      const { durationMs: _ms, ...attempt } = await post(text(`${OK}${rest}`))
      expect(attempt).to.deep.equal({ status: 200, answer: 'begin' })
    })
})
