import type { Socket } from 'node:net'
import { createPipe, type Pipe, reset } from './pipe.ts'
import type { Toxic } from './toxic.ts'

/** A client's connection, and its own connection to the server. */
export interface Link {
  readonly toServer: Pipe
  readonly toClient: Pipe
  /** Ends both connections. */
  end(): void
  /** Both sides see a reset. */
  reset(): void
}

interface LinkOptions {
  /** Called before these bytes pass to the server. */
  onRequest(link: Link, bytes: Buffer): void
  /** Called after a toxic has cut the stream from the server. */
  onCut(link: Link): void
  /** Called after both connections have ended. */
  onEnd(link: Link): void
  random(): number
}

type Direction = 'toServer' | 'toClient'

export const BOTH: readonly Direction[] = ['toServer', 'toClient']

/** The open links, and the toxics that they share with future links. */
export function createNetwork(options: Omit<LinkOptions, 'onEnd'>) {
  const links = new Set<Link>()
  const toxics = { toServer: new Map<string, Toxic>(), toClient: new Map<string, Toxic>() }
  return {
    get size() {
      return links.size
    },
    add(client: Socket, server: Socket) {
      const link = createLink(client, server, { ...options, onEnd: (ended) => links.delete(ended) })
      links.add(link)
      for (const direction of BOTH) {
        for (const [name, toxic] of toxics[direction]) link[direction].afflict(name, toxic)
      }
    },
    afflict(directions: readonly Direction[], name: string, toxic: Toxic) {
      for (const direction of directions) {
        toxics[direction].set(name, toxic)
        for (const link of links) link[direction].afflict(name, toxic)
      }
    },
    has: (direction: Direction, name: string) => toxics[direction].has(name),
    /** Removes all toxics, including those of single links. */
    heal() {
      for (const direction of BOTH) {
        toxics[direction].clear()
        for (const link of links) link[direction].heal()
      }
    },
    end() {
      for (const link of links) link.end()
    },
    reset() {
      for (const link of links) link.reset()
    },
  }
}

/** Both sockets must allow half-open connections. */
function createLink(client: Socket, server: Socket, options: LinkOptions): Link {
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
