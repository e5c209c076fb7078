import type { NewMessage } from '@cashflow/outbox'
import type pg from 'pg'

/** Another library that publishes what transactions have stored. */
export interface Peer {
  readonly name: string
  /**
   * The main module of the process that publishes, with the fastest settings. It gets DATABASE_URL and RABBITMQ_URL.
   */
  readonly program: string
  /**
   * Creates its tables in an empty database. Resolves with a function that enqueues messages in the open transaction of a
   * client. `cleanup` disposes of what the function uses.
   */
  install(databaseUrl: string, cleanup: AsyncDisposableStack): Promise<Enqueue>
}

type Enqueue = (client: pg.ClientBase, messages: readonly NewMessage[]) => Promise<void>
