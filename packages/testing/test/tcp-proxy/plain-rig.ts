import { once } from 'node:events'
import { startTcpProxy, type TcpProxy } from '../../src/index.ts'
import { connectTo, echo, type PlainServer, type Side, startPlainServer } from './plain-sockets.ts'

export interface PlainRig {
  /** A server that sends nothing by itself. */
  readonly server: PlainServer
  readonly proxy: TcpProxy
  connect(): Promise<Side>
  /** Opens a connection, and returns its two sides: the client's and the server's. */
  pair(): Promise<[client: Side, server: Side]>
  /** Runs the event loop many times, so that bytes between sockets of this process can arrive. */
  turns(): Promise<void>
  stop(): Promise<void>
}

const TURNS = 100

export async function createPlainRig(): Promise<PlainRig> {
  const server = await startPlainServer()
  const proxy = await startTcpProxy(server.url)
  const echoing = await startPlainServer(echo)
  const clients: Side[] = []
  async function connect(url = proxy.url): Promise<Side> {
    const client = await connectTo(url)
    clients.push(client)
    return client
  }
  return {
    server,
    proxy,
    connect: () => connect(),
    async pair() {
      const client = await connect()
      return [client, await server.next()]
    },
    async turns() {
      const client = await connect(echoing.url)
      for (let turn = 1; turn <= TURNS; turn++) {
        client.socket.write('.')
        await once(client.socket, 'data')
      }
      client.socket.end()
    },
    async stop() {
      for (const { socket } of clients) socket.destroy()
      await proxy.stop()
      await server.stop()
      await echoing.stop()
    },
  }
}
