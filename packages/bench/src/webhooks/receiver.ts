import { join } from 'node:path'
import { startProcess } from '../process.ts'
import type { Servers } from '../servers.ts'

/** A webhook that a healthy endpoint has received, with times in milliseconds since 1970. */
export interface Arrival {
  /** The event's. */
  readonly id: string
  readonly atMs: number
  readonly createdAtMs: number
}

/** Nothing listens on this port. */
export const DEAD_URL = 'http://127.0.0.1:1/dead'

/** Starts a process with endpoints of merchants. Its CPU time is not that of a product. */
export async function startReceiver({ dir }: Pick<Servers, 'dir'>, name: string) {
  const file = join(import.meta.dirname, 'receiver-main.ts')
  const place = { databaseUrl: '', brokerUrl: '' }
  const { url, stop } = await startProcess({ name: `receiver-${name}`, file, place, dir })
  return {
    url,
    /** Returns the number of webhooks that have arrived so far. */
    count: async (): Promise<number> => Number(await (await fetch(`${url}/count`)).text()),
    /** Returns what has arrived so far. @throws Error if a webhook has arrived twice */
    async arrivals(): Promise<Arrival[]> {
      const arrivals = (await (await fetch(`${url}/arrivals`)).json()) as Arrival[]
      const twice = arrivals.length - new Set(arrivals.map(({ id }) => id)).size
      if (twice > 0) throw new Error(`${twice} webhooks have arrived twice`)
      return arrivals
    },
    [Symbol.asyncDispose]: stop,
  }
}
