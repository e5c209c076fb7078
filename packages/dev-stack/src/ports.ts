import { randomInt } from 'node:crypto'
import { createServer, type Server } from 'node:net'
import { defined } from '@cashflow/async'
import { PortTakenError } from './start-error.ts'

const HOST = '127.0.0.1'
// Below the ranges of outgoing connections (Linux from 32768, macOS from 49152). A port from those ranges could be
// taken by an outgoing connection a moment later, and a client that dials before its server listens could reach itself.
const LOWEST = 10_000
const HIGHEST = 32_767
const FREE_PORT_TRIES_MAX = 1_000
const START_TRIES_MAX = 3

/**
 * Returns different ports on which no process listens. Another process may take one before the caller does.
 *
 * @throws Error when a thousand tries found too few
 */
export async function freePorts(count: 4): Promise<[number, number, number, number]>
export async function freePorts(count: number): Promise<number[]>
export async function freePorts(count: number): Promise<number[]> {
  const held = new Map<number, Server>()
  for (let tries = 0; held.size < count && tries < FREE_PORT_TRIES_MAX; tries++) {
    const port = randomInt(LOWEST, HIGHEST + 1)
    const server = held.has(port) ? undefined : await hold(port, HOST)
    if (server) held.set(port, server)
  }
  await Promise.all([...held.values()].map((server) => server[Symbol.asyncDispose]()))
  if (held.size < count) throw new Error(`too few free TCP ports on ${HOST} between ${LOWEST} and ${HIGHEST}`)
  return [...held.keys()]
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1)
  return defined(port, 'free port')
}

/** Tries all interfaces too: a server on 0.0.0.0:5432 also answers on 127.0.0.1:5432. */
export async function isPortFree(port: number): Promise<boolean> {
  for (const host of [HOST, '0.0.0.0']) {
    await using server = await hold(port, host)
    if (!server) return false
  }
  return true
}

/** Returns the usual port if it is free; otherwise another one, and reports it to the user. */
export async function choosePort(user: string, usual: number, say: (line: string) => void): Promise<number> {
  if (await isPortFree(usual)) return usual
  const port = await freePort()
  say(`port ${usual} is taken: ${user} uses ${port}`)
  return port
}

/** Starts a server on the chosen ports, and chooses again if another process takes one of them first. */
export async function onPorts<Ports, Started>(
  choose: () => Promise<Ports>,
  start: (ports: Ports) => Promise<Started>,
): Promise<{ ports: Ports; server: Started }> {
  for (let tries = 1; ; tries++) {
    const ports = await choose()
    try {
      return { ports, server: await start(ports) }
    } catch (error) {
      if (!(error instanceof PortTakenError) || tries === START_TRIES_MAX) throw error
    }
  }
}

/** Listens on the port. Returns undefined if the port is taken or forbidden. */
function hold(port: number, host: string): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen({ port, host, exclusive: true }, () => resolve(server))
  })
}
