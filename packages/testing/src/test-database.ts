import { randomBytes } from 'node:crypto'
import { query } from '@cashflow/dev-stack'
import { type Addresses, addresses, withDatabase } from './addresses.ts'

type Server = Pick<Addresses, 'postgresUrl' | 'template'>

export interface TestDatabase {
  url: string
  name: string
  /** Ends its sessions too. */
  drop(): Promise<void>
}

/** A migrated database of one's own, copied from the run's template unless another is given. */
export async function createTestDatabase({ template, postgresUrl }: Server = addresses()): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`
  const administer = async (statement: string) => void (await query(postgresUrl, statement))
  await administer(`create database ${name} template ${template}`)
  return {
    name,
    url: withDatabase(postgresUrl, name),
    drop: () => administer(`drop database if exists ${name} with (force)`),
  }
}
