import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onCleanUp } from './cleanup.ts'

export interface TcpProxy {
  /** The given URL, through the proxy. */
  url: string
  /** How many connections it has taken. */
  readonly taken: number
  /** Resets every connection; new ones are taken. */
  cut(): void
  /** Resets each new connection as soon as the broker has sent so many bytes, or never again with `undefined`. */
  cutAfterBytes(count: number | undefined): void
  /** Passes nothing on, in either direction, and accepts without a word; or everything again. */
  blackHole(on: boolean): void
  /** Holds back what the broker sends. */
  muteBroker(on: boolean): void
}

/** A TCP proxy in front of the broker, for the faults that a network makes. Cleaned up after the test. */
export async function createTcpProxy(url: string): Promise<TcpProxy> {
  const target = new URL(url)
  const pairs = new Set<[client: Socket, broker: Socket]>()
  let taken = 0
  let cutAfter: number | undefined
  const holes = { toBroker: false, toClient: false }

  const server = createServer((client) => {
    taken++
    const broker = connect(Number(target.port), target.hostname)
    const pair: [Socket, Socket] = [client, broker]
    pairs.add(pair)
    const end = () => {
      client.resetAndDestroy()
      broker.resetAndDestroy()
      pairs.delete(pair)
    }
    for (const socket of pair) {
      socket.setNoDelay(true)
      socket.on('error', end)
      socket.on('close', end)
    }
    let left = cutAfter
    client.on('data', (bytes) => holes.toBroker || broker.write(bytes))
    broker.on('data', (bytes) => {
      if (holes.toClient) return
      client.write(left === undefined ? bytes : bytes.subarray(0, left))
      if (left === undefined) return
      left -= bytes.length
      // Ended, not reset: the client reads these bytes, and then that there are no more.
      if (left <= 0) client.end(() => end())
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const [client, broker] of pairs) {
      client.resetAndDestroy()
      broker.resetAndDestroy()
    }
  }
  onCleanUp(async () => {
    server.close()
    cut()
    await once(server, 'close')
  })
  const through = new URL(url)
  through.hostname = '127.0.0.1'
  through.port = String((server.address() as AddressInfo).port)

  return {
    url: through.href,
    get taken() {
      return taken
    },
    cut,
    cutAfterBytes(count) {
      cutAfter = count
    },
    blackHole(on) {
      holes.toBroker = on
      holes.toClient = on
    },
    muteBroker(on) {
      holes.toClient = on
    },
  }
}
