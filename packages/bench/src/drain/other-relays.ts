import { join } from 'node:path'
import { openClient } from '@cashflow/testing'
import type { Peer } from '../peers/peer.ts'
import { createPlace } from '../place.ts'
import { startProcess } from '../process.ts'
import { declareProductQueue } from '../queue/queue.ts'
import type { Servers } from '../servers.ts'
import type { Chunks, Relay } from './drain.ts'

const PUBLISHER = join(import.meta.dirname, 'confirm-publisher.ts')

export function peerRelay({ name, program, install }: Peer): Relay {
  return {
    async start(servers) {
      await using cleanup = new AsyncDisposableStack()
      const place = await emptyPlace(servers, cleanup)
      const producer = cleanup.adopt(await install(place.databaseUrl), ({ close }) => close())
      const client = cleanup.adopt(await openClient(place.databaseUrl), (own) => own.end())
      const running = await startProcess({ name, file: program, place, dir: servers.dir })
      cleanup.defer(running.stop)
      const kept = cleanup.move()
      return {
        place,
        async give(messages: Chunks) {
          await client.query('begin')
          for (const chunk of messages) await producer.enqueue(client, chunk)
          await client.query('analyze')
          await client.query('commit')
        },
        stop: () => kept.disposeAsync(),
      }
    },
  }
}

/** Publishes messages that it creates itself. @param counts number of messages of each call of `give` */
export function barePublisher(counts: readonly number[]): Relay {
  return {
    async start(servers) {
      await using cleanup = new AsyncDisposableStack()
      const place = await emptyPlace(servers, cleanup)
      const env = { COUNTS: counts.join() }
      const running = await startProcess({ name: 'bare-publisher', file: PUBLISHER, place, env, dir: servers.dir })
      cleanup.defer(running.stop)
      const kept = cleanup.move()
      return {
        place,
        give: async () => void process.kill(running.pid, 'SIGUSR2'),
        stop: () => kept.disposeAsync(),
      }
    },
  }
}

async function emptyPlace(servers: Servers, cleanup: AsyncDisposableStack) {
  const place = cleanup.adopt(await createPlace(servers, 'template1'), ({ drop }) => drop())
  await declareProductQueue(place.brokerUrl)
  return place
}
