import { randomUUID } from 'node:crypto'
import { createDatabase, insertPayments, type Tables } from '@cashflow/db'
import { createPayment, DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import type { Delivery } from '@cashflow/messaging'
import type { LogFields, Logger } from '@cashflow/runtime'
import {
  createTestDatabase,
  eventually,
  type ScriptedServer,
  type ServiceProcess,
  startService,
  type TestDatabase,
  type TestVhost,
} from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, type Selectable, sql } from 'kysely'

export interface TestWorker {
  db: Kysely<Tables>
  database: TestDatabase
  logger: Logger
  lines: { message: string; fields: LogFields }[]
  /** The messages of the lines. */
  logged(): string[]
  /** A new payment that is PENDING, of request r-1. */
  pending(): Promise<string>
  row(id: string): Promise<Selectable<Tables['payments']>>
  /** Sets a payment's columns, such as `redrive_at = now()`. */
  set(id: string, assignments: string): Promise<void>
  /** As if a payment's claim had been made too long ago: another worker may claim it. */
  expireLease(id: string): Promise<void>
  drop(): Promise<void>
}

/** What a worker works with: payments in a database of their own, and a logger that collects lines. */
export async function createTestWorker(poolMax = 20, given?: TestDatabase): Promise<TestWorker> {
  const database = given ?? (await createTestDatabase())
  const lines: TestWorker['lines'] = []
  const write = (message: string, fields: LogFields = {}) => lines.push({ message, fields })
  const logger = { debug: write, info: write, warn: write, error: write }
  const db = createDatabase({ url: database.url, applicationName: 'test', poolMax, logger })
  return {
    db,
    database,
    logger,
    lines,
    logged: () => lines.map(({ message }) => message),
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
      const created = { payment, event, requestId: 'r-1', messages: [] }
      await db.transaction().execute((tx) => insertPayments(tx, [created], { redriveAfterMs: 60_000 }))
      return id
    },
    row: (id) => db.selectFrom('payments').selectAll().where('id', '=', id).executeTakeFirstOrThrow(),
    set: async (id, assignments) =>
      void (await sql`update payments set ${sql.raw(assignments)} where id = ${id}`.execute(db)),
    async expireLease(id) {
      await db
        .updateTable('payments')
        .set({ lease_until: new Date(0) })
        .where('id', '=', id)
        .execute()
    },
    async drop() {
      await db.destroy()
      await database.drop()
    },
  }
}

/** A worker as a process of its own, which charges at a scripted provider. It is ready when it says so. */
export function startHttpWorker(
  { payments, vhost, server }: { payments: TestWorker; vhost: TestVhost; server: ScriptedServer },
  settings: Record<string, string> = {},
): ServiceProcess {
  return startService('worker', {
    DATABASE_URL: payments.database.url,
    RABBITMQ_URL: vhost.url,
    PROVIDER: 'http',
    PROVIDER_URL: server.url,
    PROVIDER_DEADLINE_MS: '60000',
    ...settings,
  })
}

/** A message about a payment, as it comes from the queue: its body is the payment's id. */
export function delivery(body: string | Buffer, options: Partial<Delivery> = {}): Delivery {
  const whole = Buffer.from(body as string)
  return {
    body: whole,
    bytes: whole.length,
    messageId: undefined,
    topic: 'payment.created',
    headers: {},
    redelivered: false,
    signal: new AbortController().signal,
    ...options,
  }
}

/** Puts a payment's id into the work queue by hand, as soon as there is one. */
export async function publish(vhost: TestVhost, id: string): Promise<void> {
  const message = { properties: {}, routing_key: 'payments', payload: id, payload_encoding: 'string' }
  const path = `/exchanges/${vhost.name}/amq.default/publish`
  await eventually(async () =>
    expect(await vhost.management.request('POST', path, message)).to.deep.equal({ routed: true }),
  )
}
