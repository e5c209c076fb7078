import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { withDatabase } from '@cashflow/testing'
import pg from 'pg'

/** The database that every one with the textbook's tables is copied from. */
export const TEXTBOOK_TEMPLATE = 'bench_textbook'

export async function createTextbookTemplate(postgresUrl: string): Promise<void> {
  await run(postgresUrl, `create database ${TEXTBOOK_TEMPLATE}`)
  const schema = readFileSync(join(import.meta.dirname, 'schema.sql'), 'utf8')
  await run(withDatabase(postgresUrl, TEXTBOOK_TEMPLATE), schema)
}

async function run(connectionString: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    await client.query(text)
  } finally {
    await client.end()
  }
}
