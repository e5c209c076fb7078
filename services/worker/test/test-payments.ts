import { randomUUID } from 'node:crypto'
import { createDatabase, insertPayment, type Tables } from '@cashflow/db'
import { createPayment, DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import type { LogFields, Logger } from '@cashflow/runtime'
import { createTestDatabase } from '@cashflow/testing'
import { type Kysely, sql } from 'kysely'

export interface TestPayments {
  db: Kysely<Tables>
  logger: Logger
  lines: { message: string; fields: LogFields }[]
  /** A new payment that is PENDING, of request r-1. */
  pending(): Promise<string>
  row(id: string): Promise<{ status: string; redrive_at: Date | null; redrives: number; parked_at: Date | null }>
  /** Sets a payment's columns, such as `redrive_at = now()`. */
  set(id: string, assignments: string): Promise<void>
  drop(): Promise<void>
}

/** Payments in a database of their own. */
export async function createTestPayments(): Promise<TestPayments> {
  const database = await createTestDatabase()
  const lines: TestPayments['lines'] = []
  const write = (message: string, fields: LogFields = {}) => lines.push({ message, fields })
  const logger = { debug: write, info: write, warn: write, error: write }
  const db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 20, logger })
  return {
    db,
    logger,
    lines,
    async pending() {
      const money = { amountMinor: 100n, currency: 'USD' as const }
      const id = randomUUID()
      const { payment, event } = createPayment({
        id,
        merchantId: DEFAULT_MERCHANT_ID,
        reference: id,
        money,
        at: new Date(),
      })
      const options = { requestId: 'r-1', redriveAfterMs: 60_000 }
      await db.transaction().execute((tx) => insertPayment(tx, payment, event, options))
      return id
    },
    row: (id) => db.selectFrom('payments').selectAll().where('id', '=', id).executeTakeFirstOrThrow(),
    set: async (id, assignments) =>
      void (await sql`update payments set ${sql.raw(assignments)} where id = ${id}`.execute(db)),
    async drop() {
      await db.destroy()
      await database.drop()
    },
  }
}
