import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { answer, eventually, type ScriptedServer, startScriptedServer } from '@cashflow/testing'
import { expect } from 'chai'
import { Webhook } from 'standardwebhooks'
import { exchange } from '../src/exchange.ts'
import { createSender, newSecret, type Sender, type SenderOptions, webhookHeaders } from '../src/index.ts'

describe('createSender', () => {
  let receiver: ScriptedServer
  let sender: Sender
  const opened: { close(): Promise<void> }[] = []

  const open = (options: Partial<SenderOptions> = {}) => {
    const made = createSender({ policy: { allowPrivate: true }, ...options })
    opened.push(made)
    return made
  }
  beforeEach(async () => {
    receiver = await startScriptedServer()
    receiver.script = answer(204)
    sender = open()
  })
  afterEach(async () => {
    for (const part of opened.splice(0)) await part.close()
    await receiver.close()
  })

  it('sender: posts a signed body, and tells the status and the beginning of the answer', async () => {
    receiver.script = answer(202, 'thank you', { 'retry-after': '7' })
    const secret = newSecret()
    const body = '{"type":"payment.succeeded","name":"ሰላም"}'
    const headers = webhookHeaders({ id: 'evt_1', body, secrets: [secret], now: new Date() })
    const { durationMs, ...attempt } = await sender.post(`${receiver.url}?a=b`, headers, body)
    expect(attempt).to.deep.equal({ status: 202, answer: 'thank you', retryAfterMs: 7_000 })
    expect(durationMs).to.satisfy(Number.isInteger)
    const [seen] = receiver.seen
    expect(seen).to.include({ method: 'POST', path: '/charges?a=b', body })
    expect(seen?.headers).to.include({ ...headers, 'content-length': String(Buffer.byteLength(body)) })
    new Webhook(secret).verify(seen?.body ?? '', seen?.headers as Record<string, string>)
  })

  // Promise 126
  for (const status of [301, 302, 303, 307, 308])
    it(`sender: does not follow a redirect ${status}`, async () => {
      receiver.script = (_request, response) => response.writeHead(status, { location: '/elsewhere' }).end()
      expect(await sender.post(receiver.url, {}, '{}')).to.include({ status })
      expect(receiver.seen).to.have.length(1)
    })

  // Promise 126
  it('sender: refuses what is not allowed before it connects, and shows no part of the URL', async () => {
    const strict = open({ policy: { allowPrivate: false } })
    for (const url of [receiver.url, receiver.url.replace('http:', 'https:'), 'https://localhost/hunter2', 'hunter2'])
      expect(await strict.post(url, {}, '{}'))
        .to.have.property('error')
        .that.matches(/^refused address: the URL must /)
        .and.does.not.match(/hunter2|127/)
    expect(await sender.post('http://169.254.169.254/latest/meta-data', {}, '{}')).to.have.property(
      'error',
      'refused address: the URL must have an address of a public or a private network',
    )
    expect(receiver.seen).to.have.length(0)
  })

  it('sender: sends to an IPv6 address, with its brackets in the header host', async () => {
    const { url, seen, close } = await listen((socket) => socket.end('HTTP/1.1 204 No Content\r\n\r\n'), '::1')
    expect(await sender.post(url, {}, '{}')).to.include({ status: 204 })
    expect(seen[0]).to.include(`\r\nHost: ${new URL(url).host}\r\n`)
    await close()
  })

  it('sender: tells that nothing listens on the port', async () => {
    const { url, close } = await listen(() => {})
    await close()
    expect(await sender.post(url, {}, '{}')).to.have.property('error', 'connection refused')
    expect(await sender.post(url.replace('127.0.0.1', 'localhost'), {}, '{}')).to.have.property(
      'error',
      'connection refused',
    )
  })

  it('sender: sends again over a new connection where the endpoint has closed the idle one', async () => {
    const { url, seen, close } = await listen((socket, n) => {
      // The second request on the first connection is read, and not answered.
      if (n === 1) socket.destroy()
      else socket.write('HTTP/1.1 200 OK\r\nWebhook-Outcome: handled\r\nContent-Length: 0\r\n\r\n')
    })
    expect(await sender.post(url, {}, 'first')).to.include({ status: 200, outcome: 'handled' })
    // What the endpoint says of the repeated request is not what it did with the event.
    expect(await sender.post(url, {}, 'second'))
      .to.include({ status: 200 })
      .and.not.have.property('outcome')
    expect(seen.map((request) => request.split('\r\n\r\n')[1])).to.deep.equal(['first', 'second', 'second'])
    await close()
  })

  it('sender: does not send again where a new connection is closed', async () => {
    const { url, seen, close } = await listen((socket) => socket.destroy())
    expect(await sender.post(url, {}, '{}'))
      .to.have.property('error')
      .that.matches(/^connection closed: /)
    expect(seen).to.have.length(1)
    await close()
  })

  it('sender: keeps a connection for the next request, and closes it after its idle time', async () => {
    const { url, sockets, close } = await listen(alive)
    const brief = open({ idleMs: 200 })
    for (const _ of Array(3)) expect(await brief.post(url, {}, '{}')).to.include({ status: 200 })
    expect(sockets.size).to.equal(1)
    await eventually(async () => expect(sockets.size).to.equal(0))
    await close()
  })

  it('sender: waits for an answer until the deadline, also if that takes longer than a connection may be idle', async () => {
    const { url, close } = await listen((socket, n) => void setTimeout(alive, 300, socket, n))
    for (const _ of Array(2)) expect(await open({ idleMs: 50 }).post(url, {}, '{}')).to.include({ status: 200 })
    await close()
  })

  it('sender: opens no more connections to a host than it may, and keeps no more idle ones than it may', async () => {
    let most = 0
    const { url, sockets, close } = await listen((socket, n) => {
      most = Math.max(most, sockets.size)
      alive(socket, n)
    })
    const limited = open({ socketsPerHostMax: 4, idleSocketsMax: 2 })
    const attempts = await Promise.all(Array.from({ length: 20 }, () => limited.post(url, {}, '{}')))
    for (const attempt of attempts) expect(attempt).to.include({ status: 200 })
    expect(most).to.be.at.most(4)
    await eventually(async () => expect(sockets.size).to.equal(2))
    await close()
  })

  it('sender: counts the wait for one of its connections as time of the request', async () => {
    const { url, close } = await listen(() => {})
    const limited = open({ socketsPerHostMax: 1, deadlineMs: 300 })
    const attempts = await Promise.all([limited.post(url, {}, '{}'), limited.post(url, {}, '{}')])
    for (const attempt of attempts) expect(attempt).to.have.property('error', 'timeout: no answer within 0.3 s')
    await close()
  })

  it('sender: sends nothing over a connection that comes after the deadline, as in a process that was frozen', async () => {
    const { url, seen, sockets, close } = await listen(alive)
    const { hostname: host, port } = new URL(url)
    const late = { signal: new AbortController().signal, hasPassed: () => true }
    const outcome = await exchange({ protocol: 'http:', host, port }, '{}', late)
    expect(outcome).to.deep.equal({ kind: 'failed', error: 'timeout: connected only after the deadline' })
    await eventually(async () => expect(sockets.size).to.equal(0))
    expect(seen).to.have.length(0)
    await close()
  })

  it('sender: a caller ends its own request, and no other', async () => {
    const { url, seen, close } = await listen(() => {})
    const ended = new AbortController()
    const mine = sender.post(url, {}, '{}', ended.signal)
    const other = sender.post(url, {}, '{}')
    await eventually(async () => expect(seen).to.have.length(2))
    ended.abort()
    expect(await mine).to.have.property('error', 'stopped')
    expect(await sender.post(url, {}, '{}', ended.signal)).to.have.property('error', 'stopped')
    await sender.close()
    expect(await other).to.have.property('error', 'stopped')
    await close()
  })

  it('sender: close ends what runs, closes idle connections, and may be called twice', async () => {
    const { url, sockets, close } = await listen(alive)
    expect(await sender.post(url, {}, '{}')).to.include({ status: 200 })
    const looking = sender.post('http://name.invalid/', {}, '{}')
    await sender.close()
    await sender.close()
    expect(await looking).to.have.property('error', 'stopped')
    await eventually(async () => expect(sockets.size).to.equal(0))
    expect(await sender.post(url, {}, '{}')).to.have.property('error', 'stopped')
    await close()
  })
})

function alive(socket: Socket, _n: number): void {
  socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
}

/** A TCP server. `script` gets each request's connection, and the number of requests before. */
async function listen(script: (socket: Socket, n: number) => void, host = '127.0.0.1') {
  const seen: string[] = []
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)))
    socket.on('data', (request) => {
      seen.push(String(request))
      script(socket, seen.length - 1)
    })
  })
  server.listen(0, host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const url = `http://${host === '::1' ? '[::1]' : host}:${port}/`
  const close = async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  }
  return { url, seen, sockets, close }
}
