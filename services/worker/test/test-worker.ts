import { createDatabase, insertPayments, type Tables } from '@cashflow/db'
import { metadataOf } from '@cashflow/domain'
import type { Delivery } from '@cashflow/messaging'
import type { LogFields, Logger } from '@cashflow/runtime'
import {
  aPayment,
  createTestDatabase,
  eventually,
  recordingLogger,
  type ScriptedServer,
  type ServiceProcess,
  startService,
  type TestDatabase,
  type TestVhost,
} from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, type Selectable, sql } from 'kysely'
import { createHandler, type HandlerOptions } from '../src/handle-delivery.ts'
import { createAdmission } from '../src/provider/admission.ts'
import { type BreakerOptions, createBreaker } from '../src/provider/breaker.ts'
import type { Provider } from '../src/provider/provider.ts'

export interface TestWorker {
  db: Kysely<Tables>
  database: TestDatabase
  logger: Logger
  lines: { level: string; message: string; fields: LogFields }[]
  /** Messages of the log lines. */
  logged(): string[]
  /** Creates a PENDING payment by the request r-1, and returns its id. */
  pending(metadata?: Readonly<Record<string, string>>): Promise<string>
  row(id: string): Promise<Selectable<Tables['payments']>>
  /** Sets a payment's columns, such as `redrive_at = now()`. */
  set(id: string, assignments: string): Promise<void>
  /** Ends the lease of a payment, so that another worker may claim it. */
  expireLease(id: string): Promise<void>
  drop(): Promise<void>
}

/** Creates what a worker needs: a database for its payments, and a logger that collects the lines. */
export async function createTestWorker(poolMax = 20, given?: TestDatabase): Promise<TestWorker> {
  const database = given ?? (await createTestDatabase())
  const { logger, lines, logged } = recordingLogger()
  const db = createDatabase({ url: database.url, applicationName: 'test', poolMax, logger })
  return {
    db,
    database,
    logger,
    lines,
    logged,
    async pending(metadata = {}) {
      const pairs = Object.entries(metadata)
      const given = pairs.length > 0 ? { metadata: metadataOf(pairs) } : {}
      const created = { ...aPayment(given), requestId: 'r-1', messages: [] }
      await db.transaction().execute((tx) => insertPayments(tx, [created], { redriveAfterMs: 60_000 }))
      return created.payment.id
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

interface TestHandlerOptions
  extends Partial<Omit<HandlerOptions, 'admission'>>,
    Partial<Pick<BreakerOptions, 'failuresMax' | 'openMs'>> {
  chargesMax?: number
}

/** Creates a handler of deliveries that charges at the provider, as a worker process does. */
export function createTestHandler(
  { db, logger }: Pick<TestWorker, 'db' | 'logger'>,
  provider: Provider,
  { chargesMax = 100, failuresMax = 10, openMs = 1_000, ...options }: TestHandlerOptions = {},
) {
  const admission = createAdmission(createBreaker({ provider, logger, failuresMax, openMs }), chargesMax)
  const times = { providerDeadlineMs: 60_000, redriveAfterMs: 60_000 }
  const { handle, stop } = createHandler({ db, admission, logger, settled() {}, ...times, ...options })
  return { handle, stop, stopAdmission: () => admission.stop() }
}

/** Starts a worker process that charges at a scripted provider. Wait for its log line `ready`. */
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

/** A delivery of a message. A body that is a payment's id sends that payment to the worker. */
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
    draining: options.signal ?? new AbortController().signal,
    ...options,
  }
}

/** Publishes a payment's id to the work queue, as soon as the queue exists. */
export async function publish(vhost: TestVhost, id: string): Promise<void> {
  const message = { properties: {}, routing_key: 'payments', payload: id, payload_encoding: 'string' }
  const path = `/exchanges/${vhost.name}/amq.default/publish`
  await eventually(async () =>
    expect(await vhost.management.request('POST', path, message)).to.deep.equal({ routed: true }),
  )
}
