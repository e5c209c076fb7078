import { randomInt } from 'node:crypto'
import { createServer, type Server } from 'node:net'

const HOST = '127.0.0.1'
// Below what systems give to outgoing connections (Linux from 32768, macOS from 49152): a port found free here is not
// taken by one of those a moment later, and a client that dials before the server listens cannot reach itself.
const LOWEST = 10_000
const HIGHEST = 32_767
const TRIES_MAX = 1_000

/** A server that holds the port, or undefined if the port is taken or forbidden. */
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

/**
 * Ports, all different, that nobody listens on now. The caller must be ready to lose the race for one of them.
 *
 * @throws Error when a thousand tries found too few
 */
export async function freePorts(count: 4): Promise<[number, number, number, number]>
export async function freePorts(count: number): Promise<number[]>
export async function freePorts(count: number): Promise<number[]> {
  const held = new Map<number, Server>()
  for (let tries = 0; held.size < count && tries < TRIES_MAX; tries++) {
    const port = randomInt(LOWEST, HIGHEST + 1)
    const server = held.has(port) ? undefined : await hold(port, HOST)
    if (server) held.set(port, server)
  }
  await Promise.all([...held.values()].map(release))
  if (held.size < count) throw new Error(`too few free TCP ports on ${HOST} between ${LOWEST} and ${HIGHEST}`)
  return [...held.keys()]
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
