import { createServer, type Server } from 'node:net'

const HOST = '127.0.0.1'

/** A server that holds the port (0: any), or undefined if the port is taken or forbidden. */
function hold(port: number, host: string): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen({ port, host, exclusive: true }, () => resolve(server))
  })
}

function release(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}

/** Ports, all different, that nobody listens on now. The caller must be ready to lose the race for one of them. */
export async function freePorts(count: 4): Promise<[number, number, number, number]>
export async function freePorts(count: number): Promise<number[]>
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => hold(0, HOST)))
  const ports = servers.map((server) => {
    const address = server?.address()
    if (!address || typeof address === 'string') throw new Error(`no free TCP port on ${HOST}`)
    return address.port
  })
  await Promise.all(servers.map((server) => server && release(server)))
  return ports
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1)
  return port as number
}

/** Tries all interfaces too: who listens on 0.0.0.0:5432 would answer on 127.0.0.1:5432 as well. */
export async function isPortFree(port: number): Promise<boolean> {
  for (const host of [HOST, '0.0.0.0']) {
    const server = await hold(port, host)
    if (!server) return false
    await release(server)
  }
  return true
}
