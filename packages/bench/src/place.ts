import { createTestDatabase, createTestVhost, openPool } from '@cashflow/testing'
import type { Servers } from './servers.ts'

export type Place = Awaited<ReturnType<typeof createPlace>>

/**
 * Creates a database and a vhost for one run of one variant, so that no run meets what another one has left. Their
 * disposal drops both, and ends the sessions that are left.
 *
 * @param template the template of the database: a contender's, or `template1` for an empty one
 */
export async function createPlace({ postgres, rabbitmq }: Servers, template: string) {
  const database = await createTestDatabase({ postgresUrl: postgres.url, template })
  const vhost = await createTestVhost({ amqpUrl: rabbitmq.url, managementUrl: rabbitmq.managementUrl })
  const pool = openPool(database.url, { max: 2 })
  return {
    databaseUrl: database.url,
    brokerUrl: vhost.url,
    query: async <Row extends object>(text: string, values: unknown[] = []) =>
      (await pool.query<Row>(text, values)).rows,
    async [Symbol.asyncDispose]() {
      await pool.end()
      await database.drop()
      await vhost.drop()
    },
  }
}
