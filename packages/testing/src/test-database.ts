import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { addresses, withDatabase } from './addresses.ts'

export interface TestDatabase {
  url: string
  name: string
  /** Ends its sessions too. */
  drop(): Promise<void>
}

/** A migrated database of one's own, copied from the run's template. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const { template, postgresUrl } = addresses()
  const name = `test_${randomBytes(6).toString('hex')}`
  await administer(`create database ${name} template ${template}`)
  return {
    name,
    url: withDatabase(postgresUrl, name),
    drop: () => administer(`drop database if exists ${name} with (force)`),
  }
}

async function administer(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: addresses().postgresUrl })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
