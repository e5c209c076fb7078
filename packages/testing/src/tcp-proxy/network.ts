import type { Socket } from 'node:net'
import { createPipe, type Pipe, reset } from './pipe.ts'
import type { Toxic } from './toxic.ts'

/** A client's connection, and its own connection to the server. */
export interface Link {
  readonly sockets: readonly [client: Socket, server: Socket]
  readonly toServer: Pipe
  readonly toClient: Pipe
}

interface NetworkOptions {
  /** Called before these bytes pass to the server. */
  onRequest(link: Link, bytes: Buffer): void
  /** Called after a toxic has cut the stream from the server. */
  onCut(link: Link): void
}

type Direction = 'toServer' | 'toClient'

export const BOTH: readonly Direction[] = ['toServer', 'toClient']

/** The open links, and the toxics that they share with future links. */
export function createNetwork({ onRequest, onCut }: NetworkOptions) {
  const links = new Set<Link>()
  const toxics = { toServer: new Map<string, Toxic>(), toClient: new Map<string, Toxic>() }
  const forEachSocket = (act: (socket: Socket) => void) => {
    for (const { sockets } of links) sockets.forEach(act)
  }
  return {
    get size() {
      return links.size
    },
    /** Adds a link between sockets that allow half-open connections. */
    add(client: Socket, server: Socket) {
      const sockets = [client, server] as const
      const link: Link = {
        sockets,
        toServer: createPipe(client, server, { onPass: (bytes) => onRequest(link, bytes) }),
        toClient: createPipe(server, client, { onCut: () => onCut(link) }),
      }
      links.add(link)
      for (const socket of sockets) {
        socket.setNoDelay(true)
        socket.on('close', () => {
          if (sockets.every(({ destroyed }) => destroyed)) links.delete(link)
        })
      }
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
    end: () => forEachSocket((socket) => socket.destroy()),
    reset: () => forEachSocket(reset),
  }
}
