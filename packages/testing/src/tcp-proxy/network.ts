import type { Socket } from 'node:net'
import { createLink, type Link, type LinkOptions } from './link.ts'
import type { Toxic } from './toxic.ts'

export type Direction = 'toServer' | 'toClient'

export const BOTH: readonly Direction[] = ['toServer', 'toClient']

/** The links of now, and the toxics that they share with those to come. */
export interface Network {
  readonly size: number
  add(client: Socket, server: Socket): void
  afflict(directions: readonly Direction[], name: string, toxic: Toxic): void
  has(direction: Direction, name: string): boolean
  /** Takes all toxics out, also those that are one link's own. */
  heal(): void
  end(): void
  reset(): void
}

export function createNetwork(options: Omit<LinkOptions, 'onEnd'>): Network {
  const links = new Set<Link>()
  const toxics = { toServer: new Map<string, Toxic>(), toClient: new Map<string, Toxic>() }
  return {
    get size() {
      return links.size
    },
    add(client, server) {
      const link = createLink(client, server, { ...options, onEnd: (ended) => links.delete(ended) })
      links.add(link)
      for (const direction of BOTH) {
        for (const [name, toxic] of toxics[direction]) link[direction].afflict(name, toxic)
      }
    },
    afflict(directions, name, toxic) {
      for (const direction of directions) {
        toxics[direction].set(name, toxic)
        for (const link of links) link[direction].afflict(name, toxic)
      }
    },
    has: (direction, name) => toxics[direction].has(name),
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
