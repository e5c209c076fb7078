import { appendMessages, type NewMessage, type OutboxTables } from '@cashflow/outbox'
import { Kysely, PostgresDialect, sql, type Transaction } from 'kysely'
import pg from 'pg'
import { createPlace } from '../place.ts'
import { declareProductQueue } from '../queue/queue.ts'
import { PRODUCT_TEMPLATE } from '../servers.ts'
import { startSystem } from '../system.ts'
import { connect } from '../textbook/broker.ts'
import { TEXTBOOK_TEMPLATE } from '../textbook/template.ts'
import type { Chunks, Relay } from './relay.ts'

type Tx = Transaction<OutboxTables>

export const productRelay = ownRelay('product', PRODUCT_TEMPLATE, declareProductQueue, appendMessages)

export const textbookRelay = ownRelay(
  'textbook',
  TEXTBOOK_TEMPLATE,
  async (url) => (await connect(url)).close(),
  async (tx, messages) => {
    await sql`insert into outbox (topic, payload) select topic, payload
      from jsonb_to_recordset(${JSON.stringify(messages)}::jsonb) as message (topic text, payload jsonb)`.execute(tx)
  },
)

function ownRelay(
  kind: 'product' | 'textbook',
  template: string,
  declare: (brokerUrl: string) => Promise<void>,
  append: (tx: Tx, messages: readonly NewMessage[]) => Promise<void>,
): Relay {
  return {
    async start(servers, instances) {
      await using cleanup = new AsyncDisposableStack()
      const place = cleanup.adopt(await createPlace(servers, template), ({ drop }) => drop())
      await declare(place.brokerUrl)
      const roles = Array<'relay'>(instances).fill('relay')
      cleanup.adopt(await startSystem(servers, kind, roles, { place }), ({ halt }) => halt())
      const kept = cleanup.move()
      return {
        place,
        give: (messages) => appendAll(place.databaseUrl, messages, append),
        stop: () => kept.disposeAsync(),
      }
    },
  }
}

/** In one transaction, in which the planner is told how many there are now. */
async function appendAll(
  databaseUrl: string,
  messages: Chunks,
  append: (tx: Tx, messages: readonly NewMessage[]) => Promise<void>,
): Promise<void> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 1 })
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
