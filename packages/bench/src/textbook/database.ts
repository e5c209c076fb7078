import { type Generated, Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'

export interface Tables {
  payments: {
    id: string
    reference: string
    amount: string
    currency: string
    status: Generated<'PENDING' | 'SUCCESS' | 'FAILED'>
    created_at: Generated<Date>
    updated_at: Generated<Date>
  }
  outbox: {
    id: Generated<string>
    topic: string
    payload: { payment_id: string }
    created_at: Generated<Date>
    published_at: Date | null
  }
  webhook_endpoints: {
    id: Generated<string>
    merchant_id: string
    url: string
    secret: string
  }
  webhook_deliveries: {
    id: Generated<string>
    endpoint_id: string
    body: { id: string }
    attempts: Generated<number>
    due_at: Generated<Date>
    delivered_at: Date | null
  }
}

export function createDatabase(connectionString: string, poolMax: number): Kysely<Tables> {
  const pool = new pg.Pool({ connectionString, max: poolMax })
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
}
