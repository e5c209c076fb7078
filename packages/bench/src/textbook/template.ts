import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { query, withDatabase } from '@cashflow/testing'

/** The template of all databases with the textbook's tables. */
export const TEXTBOOK_TEMPLATE = 'bench_textbook'

export async function createTextbookTemplate(postgresUrl: string): Promise<void> {
  await query(postgresUrl, `create database ${TEXTBOOK_TEMPLATE}`)
  const schema = readFileSync(join(import.meta.dirname, 'schema.sql'), 'utf8')
  await query(withDatabase(postgresUrl, TEXTBOOK_TEMPLATE), schema)
}
