import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { query } from '@cashflow/dev-stack'
import { type Addresses, addresses, withDatabase } from './addresses.ts'
import { REPOSITORY } from './repository.ts'

type Server = Pick<Addresses, 'postgresUrl' | 'template'>

export type TestDatabase = Awaited<ReturnType<typeof createTestDatabase>>

/** Copies a migrated database for one test, by default from the run's template. */
export async function createTestDatabase({ template, postgresUrl }: Server = addresses()) {
  const name = `test_${randomBytes(6).toString('hex')}`
  const administer = async (statement: string): Promise<void> => void (await query(postgresUrl, statement))
  await administer(`create database ${name} template ${template}`)
  return {
    name,
    url: withDatabase(postgresUrl, name),
    /** Ends its sessions too. */
    drop: () => administer(`drop database if exists ${name} with (force)`),
  }
}

/**
 * Creates a database with all tables on a server.
 *
 * @param root the checkout whose migrations run; its packages are installed
 */
export async function createMigrated(postgresUrl: string, database: string, root = REPOSITORY): Promise<void> {
  await query(postgresUrl, `create database ${database}`)
  await runMigrate(withDatabase(postgresUrl, database), root)
}

/** Runs `npm run migrate` on a database. */
export async function runMigrate(url: string, root = REPOSITORY): Promise<void> {
  // In a process of its own: the tests use the migrations as they are run, and this package does not depend on db. The
  // script names the program, which has another name in older checkouts.
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const program = scripts.migrate.replace(/^exec node /, '')
  await promisify(execFile)(process.execPath, [join(root, program)], {
    cwd: tmpdir(),
    env: { ...process.env, SANDBOX: 'yes', DATABASE_URL: url },
  })
}
