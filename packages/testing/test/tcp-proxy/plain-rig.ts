import { once } from 'node:events'
import { startTcpProxy, type TcpProxy } from '../../src/index.ts'
import { connectTo, echo, type PlainServer, type Side, startPlainServer } from './plain-sockets.ts'

export interface PlainRig {
  /** Says nothing of itself. */
  readonly server: PlainServer
  readonly proxy: TcpProxy
  connect(): Promise<Side>
  /** A new connection: the client, and what the server has of it. */
  pair(): Promise<[client: Side, server: Side]>
  /** Gives whatever is on its way between sockets of this process many chances to arrive. */
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
