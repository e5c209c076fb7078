import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { REPOSITORY } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createFormerDatabase, type FormerDatabase } from './former-database.ts'

const IDS = ['00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-00000000000b']

async function migrate(
  settings: NodeJS.ProcessEnv,
  ...options: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { APP_ENV: 'production', ...settings }
  const running = promisify(execFile)(process.execPath, [join(REPOSITORY, 'db/src/migrate-main.ts'), ...options], {
    env,
  })
  return running.then((output) => ({ code: 0, ...output })).catch((failed) => failed)
}

describe('npm run migrate', () => {
  let database: FormerDatabase
  before(async () => {
    database = await createFormerDatabase()
  })
  after(() => database.drop())

  const run = (...options: string[]) => migrate({ DATABASE_URL: database.url, SANDBOX: 'yes' }, ...options)

  it('refuses an unknown argument with exit code 2, and prints its usage', async () => {
    const { code, stderr } = await run('--set-aside')
    expect(code).to.equal(2)
    expect(stderr)
      .to.include('--set-aside-duplicates')
      .and.not.match(/\n +at /)
  })

  it('refuses a mode other than sandbox and live with exit code 2, and prints its usage', async () => {
    const { code, stderr } = await run('--mode', 'test')
    expect(code).to.equal(2)
    expect(stderr).to.include('--mode must be sandbox or live').and.include('--mode sandbox|live')
  })

  it('lists payments that are stored twice and exits with 1, and makes them unique with --set-aside-duplicates', async () => {
    await sql`alter table payments drop constraint payments_merchant_id_reference_key`.execute(database.db)
    await sql`
      insert into payments (id, merchant_id, reference, amount_minor, currency, status)
      select payment.id, m.id, 'twice', 100, 'USD', 'PENDING'
      from merchants m, unnest(${IDS}::uuid[]) as payment (id)`.execute(database.db)
    const { code, stdout } = await run()
    expect(code).to.equal(1)
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines[0]).to.deep.include({ level: 'error', table: 'payments', first_id: IDS[0], later_ids: [IDS[1]] })
    expect(lines[1]).to.include({ message: 'migration failed', code: 'duplicates' })
    expect(lines).to.have.length(2)

    expect((await run('--set-aside-duplicates')).code).to.equal(0)
    const { rows } = await sql`select reference from payments order by id`.execute(database.db)
    expect(rows).to.deep.equal([{ reference: 'twice' }, { reference: `twice#${IDS[1]}` }])
  })

  it('migrates although its log cannot be written, and reports that on standard error', async () => {
    const { stdout, stderr } = await promisify(execFile)(
      'bash',
      [
        '--norc',
        '-c',
        '"$0" "$1" > /dev/full; echo "$?"',
        process.execPath,
        join(REPOSITORY, 'db/src/migrate-main.ts'),
      ],
      { env: { PATH: process.env.PATH, DATABASE_URL: database.url, SANDBOX: 'yes', APP_ENV: 'production' } },
    )
    expect(stdout).to.equal('0\n')
    expect(stderr).to.match(/^migrate: the log cannot be written: ENOSPC: [^\n]*; going on\n$/)
  })
})

describe('npm run migrate on payments of a version that stored no mode', () => {
  it('migrate wants SANDBOX for payments of a version that stored no mode, and changes nothing without it', async () => {
    const database = await createFormerDatabase()
    await sql`
      insert into payments (id, merchant_id, reference, amount_minor, currency, status)
      select gen_random_uuid(), id, 'r', 1, 'USD', 'PENDING' from merchants`.execute(database.db)
    const tables = () =>
      sql`select relname from pg_class where relnamespace = 'public'::regnamespace`.execute(database.db)
    const { rows: before } = await tables()
    const { code, stdout } = await migrate({ DATABASE_URL: database.url })
    expect([code, JSON.parse(stdout).code]).to.deep.equal([1, 'mode_unknown'])
    expect((await tables()).rows).to.deep.equal(before)
    expect((await migrate({ DATABASE_URL: database.url, SANDBOX: 'yes' })).code).to.equal(0)
    expect((await sql`select mode from deployment`.execute(database.db)).rows).to.deep.equal([{ mode: 'sandbox' }])
    await database.drop()
  })
})

describe('npm run migrate on merchants of one name', () => {
  it('migrate lists merchants of one name by their ids, exits with 1 and changes nothing until they differ', async () => {
    const database = await createFormerDatabase()
    const insert = (id: string, name: string) =>
      sql`insert into merchants (id, name, created_at) values (${id}, ${name}, '2026-11-22Z')`.execute(database.db)
    for (const id of IDS) await insert(id, 'Acme')
    await insert('00000000-0000-7000-8000-00000000000c', 'acme')
    const tables = () =>
      sql`select relname from pg_class where relnamespace = 'public'::regnamespace order by 1`.execute(database.db)
    const { rows: before } = await tables()
    const settings = { DATABASE_URL: database.url, SANDBOX: 'yes' }
    const { code, stdout } = await migrate(settings)
    const [listed, failed, ...others] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(listed).to.deep.include({ level: 'error', message: 'merchants found that have the same name', ids: IDS })
    expect([code, failed.code, others]).to.deep.equal([1, 'merchant_names', []])
    expect((await tables()).rows).to.deep.equal(before)
    await sql`update merchants set name = 'Acme 2' where id = ${IDS[1]}`.execute(database.db)
    expect((await migrate(settings)).code).to.equal(0)
    await database.drop()
  })
})
