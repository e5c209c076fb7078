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
    // What has fallen silent does not say that it is gone either.
    const onEnd = (ended: Socket, other: Socket, isHidden: () => boolean) => () => {
      if (!isHidden()) other.resetAndDestroy()
      ended.destroy()
      if (other.destroyed) pairs.delete(pair)
    }
    const endings = [
      [client, onEnd(client, broker, () => holes.toBroker)],
      [broker, onEnd(broker, client, () => holes.toClient)],
    ] as const
    for (const [socket, end] of endings) {
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
      if (left <= 0) client.end(() => client.resetAndDestroy())
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
