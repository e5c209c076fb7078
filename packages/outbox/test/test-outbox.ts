import { aMessage, createTestDatabase, openPool } from '@cashflow/testing'
import { Kysely, PostgresDialect, sql } from 'kysely'
import type { NewMessage, OutboxMessage, OutboxTables, PassLimits, Publisher, PublishOutcome } from '../src/index.ts'

export interface TestOutbox {
  db: Kysely<OutboxTables>
  url: string
  backlog(): Promise<number>
  drop(): Promise<void>
}

export async function createTestOutbox(): Promise<TestOutbox> {
  const database = await createTestDatabase()
  const db = new Kysely<OutboxTables>({
    dialect: new PostgresDialect({ pool: openPool(database.url, { max: 20 }) }),
  })
  return {
    db,
    url: database.url,
    async backlog() {
      const { rows } = await sql<{ count: string }>`select count(*) from outbox_messages`.execute(db)
      return Number(rows[0]?.count)
    },
    async drop() {
      await db.destroy()
      await database.drop()
    },
  }
}

export const LIMITS: PassLimits = { lanesMax: 8, messagesPerLaneMax: 64, bytesMax: 1_000_000, confirmDeadlineMs: 5_000 }

export interface ScriptedPublisher extends Publisher {
  /** The messages that it was given to publish, in order, with any outcome. */
  readonly published: OutboxMessage[]
  redeclared: number
}

/** A publisher that answers as the script says. Without a script it confirms every message. */
export function scriptedPublisher(
  script: (message: OutboxMessage, attempt: number) => PublishOutcome | Promise<PublishOutcome> = () => ({
    status: 'confirmed',
  }),
): ScriptedPublisher {
  const seen = new Map<string, number>()
  return {
    published: [],
    redeclared: 0,
    publish(messages) {
      return Promise.all(
        messages.map((message) => {
          this.published.push(message)
          const attempt = (seen.get(message.messageId) ?? 0) + 1
          seen.set(message.messageId, attempt)
          return script(message, attempt)
        }),
      )
    },
    async redeclare() {
      this.redeclared += 1
      return true
    },
  }
}

/** Messages, each with its own key unless `extra` has one. */
export function messages(count: number, extra: Partial<NewMessage> = {}): NewMessage[] {
  return Array.from({ length: count }, (_, index) => aMessage({ key: `key ${index}`, payload: { index }, ...extra }))
}
