import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import type { Tables } from './tables.ts'

export function createDatabase(connectionString: string, poolMax: number): Kysely<Tables> {
  const pool = new pg.Pool({ connectionString, max: poolMax })
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
}
