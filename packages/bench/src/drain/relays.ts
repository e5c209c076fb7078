import { join } from 'node:path'
import type { NewMessage, OutboxTables } from '@cashflow/outbox'
import { openClient, openPool } from '@cashflow/testing'
import { Kysely, PostgresDialect, sql, type Transaction } from 'kysely'
import { type Contender, type Product, TEXTBOOK } from '../contender.ts'
import type { Peer } from '../peers/peer.ts'
import { createPlace } from '../place.ts'
import { startProcess } from '../process.ts'
import { declareProductQueue } from '../queue/queue.ts'
import { startSystem } from '../system.ts'
import type { Relay } from './drain.ts'

type Append = (tx: Transaction<OutboxTables>, messages: readonly NewMessage[]) => Promise<void>

const PUBLISHER = join(import.meta.dirname, 'confirm-publisher.ts')

export function productRelay(product: Product): Relay {
  return ownRelay(product, async (tx, messages) => {
    // The outbox of the product's tree, which knows the tables of that tree. Importing it again costs nothing.
    const outbox: { appendMessages: Append } = await import(join(product.root, 'packages/outbox/src/index.ts'))
    await outbox.appendMessages(tx, messages)
  })
}

export const textbookRelay = ownRelay(TEXTBOOK, async (tx, messages) => {
  await sql`insert into outbox (topic, payload) select topic, payload
    from jsonb_to_recordset(${JSON.stringify(messages)}::jsonb) as message (topic text, payload jsonb)`.execute(tx)
})

function ownRelay(contender: Contender, append: Append): Relay {
  return async (servers, cleanup, instances) => {
    const place = cleanup.use(await createPlace(servers, contender.template))
    await contender.declareQueue(place.brokerUrl)
    cleanup.use(await startSystem(servers, contender, Array<'relay'>(instances).fill('relay'), { place }))
    return {
      place,
      async give(messages) {
        const pool = openPool(place.databaseUrl, { max: 1 })
        await using db = new Kysely<OutboxTables>({ dialect: new PostgresDialect({ pool }) })
        await db.transaction().execute(async (tx) => {
          for (const chunk of messages) await append(tx, chunk)
          await sql`analyze`.execute(tx)
        })
      },
    }
  }
}

export function peerRelay({ name, program, install }: Peer): Relay {
  return async (servers, cleanup) => {
    const place = cleanup.use(await createPlace(servers, 'template1'))
    await declareProductQueue(place.brokerUrl)
    const enqueue = await install(place.databaseUrl, cleanup)
    const client = cleanup.adopt(await openClient(place.databaseUrl), (own) => own.end())
    cleanup.use(await startProcess({ name, file: program, place, dir: servers.dir }))
    return {
      place,
      async give(messages) {
        await client.query('begin')
        for (const chunk of messages) await enqueue(client, chunk)
        await client.query('analyze')
        await client.query('commit')
      },
    }
  }
}

/** Publishes messages that it creates itself. @param counts number of messages of each call of `give` */
export function barePublisher(counts: readonly number[]): Relay {
  return async (servers, cleanup) => {
    const place = cleanup.use(await createPlace(servers, 'template1'))
    await declareProductQueue(place.brokerUrl)
    const env = { COUNTS: counts.join() }
    const publisher = await startProcess({ name: 'bare-publisher', file: PUBLISHER, place, env, dir: servers.dir })
    const { pid } = cleanup.use(publisher)
    return { place, give: async () => void process.kill(pid, 'SIGUSR2') }
  }
}
