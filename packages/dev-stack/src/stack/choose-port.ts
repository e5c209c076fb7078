import { freePort, isPortFree } from '../ports.ts'
import { PortTakenError } from '../start-error.ts'

const TRIES_MAX = 3

/** The usual port where it is free; another, said aloud, where it is not. */
export async function choosePort(user: string, usual: number, say: (line: string) => void): Promise<number> {
  if (await isPortFree(usual)) return usual
  const port = await freePort()
  say(`port ${usual} is taken: ${user} uses ${port}`)
  return port
}

/** Starts a server on ports that were free when they were chosen, and on others when somebody took one meanwhile. */
export async function onPorts<Ports, Server>(
  choose: () => Promise<Ports>,
  start: (ports: Ports) => Promise<Server>,
): Promise<{ ports: Ports; server: Server }> {
  for (let tries = 1; ; tries++) {
    const ports = await choose()
    try {
      return { ports, server: await start(ports) }
    } catch (error) {
      if (!(error instanceof PortTakenError) || tries === TRIES_MAX) throw error
    }
  }
}
