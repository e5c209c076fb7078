import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { REPOSITORY } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { readMigrations } from '../../src/migrate/migration-file.ts'
import { ensureSchema, SCHEMA_NEEDED, SchemaError } from '../../src/migrate/schema.ts'
import { createTestStore, type TestStore } from '../test-store.ts'
import { FOLDER, migrateAll, migrationNames } from './former-database.ts'

describe('migrate', () => {
  let store: TestStore
  beforeEach(async () => {
    store = await createTestStore()
  })
  afterEach(() => store.drop())

  const empty = () => sql`drop schema public cascade; create schema public`.execute(store.db)
  const refusal = () =>
    ensureSchema(store.db).then(
      () => undefined,
      (error: Error) => error,
    )

  it('SCHEMA_NEEDED is the newest migration that does not wait for services that know migration 0012 to stop', async () => {
    const waits = (after: string | undefined) => after !== undefined && Number(after) > 12
    const expected = (await readMigrations(FOLDER)).filter((file) => file.kind === 'whole' || !waits(file.after))
    expect(expected.at(-1)?.name).to.equal(SCHEMA_NEEDED)
  })

  it('applies each migration once, however many runs start at the same time', async () => {
    await empty()
    const migrated = await Promise.all([migrateAll(store.db), migrateAll(store.db), migrateAll(store.db)])
    expect(migrated.flatMap(({ applied }) => applied)).to.deep.equal(await migrationNames())
    expect(await refusal()).to.equal(undefined)
  })

  it('ensureSchema refuses a database that lacks the needed migration, and names the command to run', async () => {
    await empty()
    expect(await refusal()).to.be.instanceOf(SchemaError)
    await migrateAll(store.db)
    await sql`delete from cashflow_migration where name = ${SCHEMA_NEEDED}`.execute(store.db)
    expect((await refusal())?.message).to.include('npm run migrate')
  })

  it('logs that it has migrated the schema, or that the schema is up to date', async () => {
    await empty()
    const program = [join(REPOSITORY, 'db/src/migrate-main.ts')]
    const run = () =>
      promisify(execFile)(process.execPath, program, {
        env: { DATABASE_URL: store.database.url, APP_ENV: 'production' },
      })
    expect((await run()).stdout).to.include('schema migrated')
    expect((await run()).stdout).to.include('schema is up to date')
  })

  it('exits with 1 if the database does not exist, and names the settings to check', async () => {
    const env = { DATABASE_URL: `${store.database.url}_missing`, APP_ENV: 'production' }
    const failed = await promisify(execFile)(process.execPath, [join(REPOSITORY, 'db/src/migrate-main.ts')], {
      env,
    }).then(
      () => undefined,
      (error: { code: number; stdout: string }) => error,
    )
    expect(failed?.code).to.equal(1)
    expect(failed?.stdout).to.include('does not exist').and.to.not.include('postgres:postgres')
    expect(JSON.parse(failed?.stdout ?? '')).to.include({ settings: 'DATABASE_URL, or DB_NAME' })
  })
})
