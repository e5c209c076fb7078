import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { query } from '@cashflow/dev-stack'
import { withDatabase } from './addresses.ts'
import { REPOSITORY } from './repository.ts'

/**
 * Creates a database with all tables on a server.
 *
 * @param root the checkout whose migrations run; its packages are installed
 */
export async function createMigrated(postgresUrl: string, database: string, root = REPOSITORY): Promise<void> {
  await query(postgresUrl, `create database ${database}`)
  // As a process of its own: the migrations are under test as they are run, and this package needs no other of ours.
  await promisify(execFile)(process.execPath, [join(root, 'db/src/migrate-main.ts')], {
    cwd: tmpdir(),
    env: { ...process.env, DATABASE_URL: withDatabase(postgresUrl, database) },
  })
}
