import type { Socket } from 'node:net'
import { eventually, openSocket, recordingLogger } from '@cashflow/testing'
import { expect } from 'chai'
import { type HttpComponent, httpComponent } from '../src/http-component.ts'

/** More than the kernel keeps for a client that does not read. */
const LARGE = Buffer.alloc(24e6)
const GET_LARGE = 'GET /large HTTP/1.1\r\nHost: x\r\n\r\n'
const GET_HELD = 'GET /held HTTP/1.1\r\nHost: x\r\n\r\n'

describe('unread answers', () => {
  let http: HttpComponent
  let sockets: Socket[]
  let answered: number
  let recorded: ReturnType<typeof recordingLogger>
  beforeEach(async () => {
    sockets = []
    answered = 0
    recorded = recordingLogger()
    http = httpComponent(
      (req, res) => {
        if (req.url === '/held') return
        res.end(req.url === '/large' ? LARGE : 'served')
        answered += 1
      },
      { host: '127.0.0.1', port: 0, logger: recorded.logger },
    )
    await http.start(new AbortController().signal)
  })
  afterEach(async () => {
    for (const socket of sockets) socket.destroy()
    await http.stop()
  })

  /** Opens a connection whose client reads none of its answers. Returns a function that tells whether it was closed. */
  async function openUnread(requests: string, answers: number) {
    const before = answered
    const socket = openSocket(http.url).pause()
    sockets.push(socket)
    let closed = false
    socket.on('close', () => {
      closed = true
    })
    socket.write(requests)
    await eventually(() => expect(answered).to.equal(before + answers))
    return { isClosed: () => closed, read: () => socket.resume() }
  }

  // Promise 28
  it('api: closes the connections with the most unread answers when all unread ones have over 128 MB, and no other', async () => {
    await openUnread(GET_LARGE, 1)
    const behindHeld = await openUnread(GET_HELD + GET_LARGE.repeat(3), 3)
    const waiting = await openUnread(GET_HELD, 0)
    await openUnread(GET_LARGE.repeat(3), 3)
    // Behind an answer that is held there is nothing to read, so this frees no memory. It shows whether they are closed.
    for (const { read } of [behindHeld, waiting]) read()
    await eventually(() => expect(behindHeld.isClosed()).to.equal(true), { timeoutMs: 15_000 })
    expect(await (await fetch(http.url)).text()).to.equal('served')
    expect(waiting.isClosed()).to.equal(false)
    const [line] = recorded.linesOf('connections closed: the limit is reached')
    expect(line?.fields).to.include({ closed_unread: 1 })
  }).timeout(60_000)
})
