import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { expect } from 'chai'
import { eventually } from '../../src/index.ts'

/** One side of a connection, with its received bytes and events. */
export interface Side {
  readonly socket: Socket
  /** All received bytes. */
  readonly text: string
  /** Events in the order of their arrival. */
  readonly seen: readonly ('end' | 'reset' | 'close')[]
}

export interface PlainServer {
  readonly url: string
  /** The server's side of each connection, in order. */
  readonly sides: readonly Side[]
  /** Resolves with the server's side of the next connection. */
  next(): Promise<Side>
  stop(): Promise<void>
}

/** Starts a server whose half-open connections stay open until the test ends them. */
export async function startPlainServer(onConnect: (socket: Socket) => void = () => {}): Promise<PlainServer> {
  const sides: Side[] = []
  let given = 0
  const listener = createServer({ allowHalfOpen: true }, (socket) => {
    sides.push(sideOf(socket))
    onConnect(socket)
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  return {
    url: `tcp://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    sides,
    async next() {
      given += 1
      return await eventually(() => {
        const side = sides[given - 1]
        if (!side) throw new Error('no client has connected')
        return side
      })
    },
    async stop() {
      listener.close()
      for (const { socket } of sides) socket.destroy()
      await once(listener, 'close')
    },
  }
}

export async function connectTo(url: string): Promise<Side> {
  const { hostname, port } = new URL(url)
  const side = sideOf(connect({ host: hostname, port: Number(port), allowHalfOpen: true }))
  await once(side.socket, 'connect')
  return side
}

export function echo(socket: Socket): void {
  socket.pipe(socket)
}

export async function expectText(side: Side, text: string): Promise<void> {
  await eventually(() => expect(side.text).to.equal(text), { intervalMs: 1 })
}

/** Waits for the end of a side. A reset counts too: the system resets a connection that is closed with unread bytes. */
export async function expectGone(side: Side): Promise<void> {
  await eventually(() => expect(side.seen).not.to.deep.equal([]), { intervalMs: 1 })
}

export async function expectSeen(side: Side, ...seen: Side['seen']): Promise<void> {
  await eventually(() => expect(side.seen).to.deep.equal(seen), { intervalMs: 1 })
}

function sideOf(socket: Socket): Side {
  const chunks: Buffer[] = []
  const seen: ('end' | 'reset' | 'close')[] = []
  socket.on('data', (bytes) => chunks.push(bytes))
  socket.on('end', () => seen.push('end'))
  socket.on('error', ({ code }: NodeJS.ErrnoException) => {
    if (code === 'ECONNRESET') seen.push('reset')
  })
  socket.on('close', () => seen.push('close'))
  return {
    socket,
    seen,
    get text() {
      return Buffer.concat(chunks).toString()
    },
  }
}
