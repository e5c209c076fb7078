import { createDatabase, type Tables } from '@cashflow/db'
import { appendMessages, type NewMessage } from '@cashflow/outbox'
import {
  aMessage,
  createTestDatabase,
  createTestVhost,
  nullLogger,
  type ServiceProcess,
  startService,
  type TestDatabase,
  type TestVhost,
} from '@cashflow/testing'
import { type Kysely, sql } from 'kysely'

/** Timeout of `eventually` for starting and stopping services on a busy machine. */
export const PATIENTLY = { timeoutMs: 90_000 }

/** A database, a vhost, and relay processes between them. */
export interface RelayRig {
  readonly database: Pick<TestDatabase, 'url' | 'drop'>
  readonly vhost: TestVhost
  readonly db: Kysely<Tables>
  start(settings?: Record<string, string>): ServiceProcess
  append(messages: readonly NewMessage[]): Promise<void>
  /** Messages in the lanes. */
  backlog(): Promise<number>
  /** Ids of the messages in the queue `payments`. Reads all messages and requeues them. */
  published(): Promise<Set<string>>
  stop(): Promise<void>
}

/** Creates a rig on the servers of the test run, unless others are given. */
export async function createRelayRig(
  broker?: Parameters<typeof createTestVhost>[0],
  ownDatabase?: Pick<TestDatabase, 'url' | 'drop'>,
): Promise<RelayRig> {
  const [database, vhost] = await Promise.all([ownDatabase ?? createTestDatabase(), createTestVhost(broker)])
  // The rig writes large backlogs, which takes long on a busy machine.
  const statementMs = 120_000
  const db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 4, logger: nullLogger, statementMs })
  const relays: ServiceProcess[] = []
  return {
    database,
    vhost,
    db,
    start(settings = {}) {
      const relay = startService('relay', { DATABASE_URL: database.url, RABBITMQ_URL: vhost.url, ...settings })
      relays.push(relay)
      return relay
    },
    append: (messages) => db.transaction().execute((tx) => appendMessages(tx, messages)),
    async backlog() {
      const { rows } = await sql<{ count: number }>`select count(*)::int as count from outbox_messages`.execute(db)
      return rows[0]?.count ?? Number.NaN
    },
    async published() {
      const got = (await vhost.management.request('POST', `/queues/${vhost.name}/payments/get`, {
        count: 100_000,
        ackmode: 'ack_requeue_true',
        encoding: 'auto',
        truncate: 1,
      })) as { properties: { message_id: string } }[]
      return new Set(got.map(({ properties }) => properties.message_id))
    },
    async stop() {
      for (const relay of relays) relay.kill('SIGKILL')
      await Promise.all(relays.map(({ exited }) => exited))
      await db.destroy()
      await Promise.all([database.drop(), vhost.drop()])
    },
  }
}

export function news(count: number, extra: Partial<NewMessage> = {}): NewMessage[] {
  return Array.from({ length: count }, (_, index) =>
    aMessage({ key: `key ${index % 50}`, topic: 'payment.created', payload: { index }, ...extra }),
  )
}
