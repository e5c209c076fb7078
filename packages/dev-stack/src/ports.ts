import { createServer } from 'node:net'

const HOST = '127.0.0.1'

/** The port itself if it can be listened on, 0 being "any"; undefined if it is taken or forbidden. */
function tryListen(port: number, host: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address()
      const bound = address !== null && typeof address === 'object' ? address.port : undefined
      server.close(() => resolve(bound))
    })
  })
}

/** A port that nobody listens on now. The caller must be ready to lose the race for it. */
export async function freePort(): Promise<number> {
  const port = await tryListen(0, HOST)
  if (port === undefined) throw new Error(`no free TCP port on ${HOST}`)
  return port
}

/** Looks at all interfaces too: what listens on 0.0.0.0:5432 answers on 127.0.0.1:5432 just as well. */
export async function isPortFree(port: number): Promise<boolean> {
  return (await tryListen(port, HOST)) !== undefined && (await tryListen(port, '0.0.0.0')) !== undefined
}

export async function preferPort(preferred: number): Promise<number> {
  return (await isPortFree(preferred)) ? preferred : freePort()
}
