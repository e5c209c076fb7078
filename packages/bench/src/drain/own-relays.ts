import { join } from 'node:path'
import type { appendMessages, NewMessage, OutboxTables } from '@cashflow/outbox'
import { openPool } from '@cashflow/testing'
import { Kysely, PostgresDialect, sql, type Transaction } from 'kysely'
import { type Contender, type Product, TEXTBOOK } from '../contender.ts'
import { createPlace } from '../place.ts'
import { declareProductQueue } from '../queue/queue.ts'
import { startSystem } from '../system.ts'
import { connect } from '../textbook/broker.ts'
import type { Chunks, Relay } from './drain.ts'

type Append = (tx: Transaction<OutboxTables>, messages: readonly NewMessage[]) => Promise<void>

export function productRelay(product: Product): Relay {
  return ownRelay(product, declareProductQueue, async (tx, messages) => {
    // The outbox of the product's tree, which knows the tables of that tree. Importing it again costs nothing.
    const outbox: { appendMessages: typeof appendMessages } = await import(
      join(product.root, 'packages/outbox/src/index.ts')
    )
    await outbox.appendMessages(tx, messages)
  })
}

export const textbookRelay = ownRelay(
  TEXTBOOK,
  async (url) => (await connect(url)).close(),
  async (tx, messages) => {
    await sql`insert into outbox (topic, payload) select topic, payload
      from jsonb_to_recordset(${JSON.stringify(messages)}::jsonb) as message (topic text, payload jsonb)`.execute(tx)
  },
)

function ownRelay(contender: Contender, declare: (brokerUrl: string) => Promise<void>, append: Append): Relay {
  return {
    async start(servers, instances) {
      await using cleanup = new AsyncDisposableStack()
      const place = cleanup.adopt(await createPlace(servers, contender.template), ({ drop }) => drop())
      await declare(place.brokerUrl)
      const roles = Array<'relay'>(instances).fill('relay')
      cleanup.adopt(await startSystem(servers, contender, roles, { place }), ({ halt }) => halt())
      const kept = cleanup.move()
      return {
        place,
        give: (messages) => appendAll(place.databaseUrl, messages, append),
        stop: () => kept.disposeAsync(),
      }
    },
  }
}

/** Appends all messages in one transaction, and updates the planner's statistics in it. */
async function appendAll(databaseUrl: string, messages: Chunks, append: Append): Promise<void> {
  const pool = openPool(databaseUrl, { max: 1 })
  const db = new Kysely<OutboxTables>({ dialect: new PostgresDialect({ pool }) })
  try {
    await db.transaction().execute(async (tx) => {
      for (const chunk of messages) await append(tx, chunk)
      await sql`analyze`.execute(tx)
    })
  } finally {
    await db.destroy()
  }
}
