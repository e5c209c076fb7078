import { createTestDatabase, createTestVhost, openPool } from '@cashflow/testing'
import type { Servers } from './servers.ts'

/** A database and a vhost of one run of one variant, so that none meets what another has left. */
export interface Place {
  readonly databaseUrl: string
  readonly brokerUrl: string
  /** The database's name, as PostgreSQL's statistics call it. */
  readonly database: string
  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>
  /** Ends the sessions and connections that are left as well. */
  drop(): Promise<void>
}

/** @param template the database that it is copied from: a contender's, or `template1` for an empty one */
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
