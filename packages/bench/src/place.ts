import { createTestDatabase, createTestVhost, openPool } from '@cashflow/testing'
import type { Servers } from './servers.ts'

/** A database and a vhost for one run of one variant, so that no run meets what another one has left. */
export interface Place {
  readonly databaseUrl: string
  readonly brokerUrl: string
  /** The database's name, as in PostgreSQL's statistics. */
  readonly database: string
  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>
  /** Drops both, and ends the sessions and connections that are left. */
  drop(): Promise<void>
}

/** Creates a place. @param template the template of its database: a contender's, or `template1` for an empty one */
export async function createPlace({ postgres, rabbitmq }: Servers, template: string): Promise<Place> {
  const database = await createTestDatabase({ postgresUrl: postgres.url, template })
  const vhost = await createTestVhost({ amqpUrl: rabbitmq.url, managementUrl: rabbitmq.managementUrl })
  const pool = openPool(database.url, { max: 2 })
  return {
    databaseUrl: database.url,
    brokerUrl: vhost.url,
    database: database.name,
    query: async <Row extends object>(text: string, values: readonly unknown[] = []) =>
      (await pool.query<Row>(text, [...values])).rows,
    async drop() {
      await pool.end()
      await database.drop()
      await vhost.drop()
    },
  }
}
