import type { Socket } from 'node:net'
import { createPipe, type Pipe, reset } from './pipe.ts'

/** A client's connection, and the one to the server that was made for it. */
export interface Link {
  readonly toServer: Pipe
  readonly toClient: Pipe
  /** Ends both. */
  end(): void
  /** Both sides see a reset. */
  reset(): void
}

export interface LinkOptions {
  /** Before these bytes pass to the server. */
  onRequest(link: Link, bytes: Buffer): void
  /** After a toxic has cut what comes from the server. */
  onCut(link: Link): void
  /** After both connections have ended. */
  onEnd(link: Link): void
  random(): number
}

/** Both sockets have to allow half-open connections. */
export function createLink(client: Socket, server: Socket, options: LinkOptions): Link {
  const { random } = options
  const sockets = [client, server]
  const link: Link = {
    toServer: createPipe(client, server, { random, onPass: (bytes) => options.onRequest(link, bytes) }),
    toClient: createPipe(server, client, { random, onCut: () => options.onCut(link) }),
    end() {
      for (const socket of sockets) socket.destroy()
    },
    reset() {
      for (const socket of sockets) reset(socket)
    },
  }
  for (const socket of sockets) {
    socket.setNoDelay(true)
    socket.on('close', () => {
      if (sockets.every(({ destroyed }) => destroyed)) options.onEnd(link)
    })
  }
  return link
}
