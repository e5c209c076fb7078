import type { NewMessage } from '@cashflow/outbox'
import type pg from 'pg'

/** Another library that publishes what transactions have stored. */
export interface Peer {
  readonly name: string
  /** The process that publishes, with the settings that were the fastest. It is given DATABASE_URL and RABBITMQ_URL. */
  readonly program: string
  /** Makes its tables in a database of its own. */
  install(databaseUrl: string): Promise<Producer>
}

export interface Producer {
  /** Enqueues messages in the transaction that this client has open. */
  enqueue(client: pg.ClientBase, messages: readonly NewMessage[]): Promise<void>
  close(): Promise<void>
}
