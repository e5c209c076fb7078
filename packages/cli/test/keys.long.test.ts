import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { defined, eventually } from '@cashflow/async'
import { createDatabase, findKeys, hashKey, parsePeppers, readKey, type Tables } from '@cashflow/db'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { createTestDatabase, nullLogger, type TestDatabase } from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import { MAIN, runCashflow } from './run-cashflow.ts'

const PEPPER = 'p'.repeat(32)
const NEXT_PEPPER = 'q'.repeat(32)
const UNKNOWN_ID = '0197f3c0-0000-7000-8000-0123456789ab'
const CREATE = ['keys', 'create', '--merchant', DEFAULT_MERCHANT_ID]

describe('cashflow merchants and keys', function () {
  // Each command starts a process.
  this.timeout(180_000)
  let database: TestDatabase
  let db: Kysely<Tables>
  before(async () => {
    database = await createTestDatabase()
    db = createDatabase({
      url: database.url,
      applicationName: 'test',
      poolMax: 5,
      idleInTransactionMs: 0, // A transaction waits until a process has started.
      logger: nullLogger,
    })
  })
  afterEach(() => db.deleteFrom('api_keys').execute())
  after(async () => {
    await db.destroy()
    await database.drop()
  })

  const envOf = (pepper = PEPPER) => ({ DATABASE_URL: database.url, SANDBOX: 'yes', KEY_PEPPER: pepper })
  const run = (args: readonly string[], env = {}) => runCashflow(args, { ...envOf(), ...env })
  /** Runs a command that has to be done, and returns its JSON objects. */
  async function json(...args: string[]) {
    const { code, stdout, stderr } = await run([...args, '--json'])
    expect(code, stderr).to.equal(0)
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  }

  it('takes a merchant from its first key over a rotation to a revoked key', async () => {
    const [merchant] = await json('merchants', 'create', 'Acme')
    expect(await json('merchants', 'list')).to.deep.include(merchant)
    const again = await run(['merchants', 'create', 'Acme'])
    expect([again.code, again.stderr]).to.deep.equal([1, `Merchant ${merchant.id} has this name.\n`])

    const of = ['--merchant', merchant.id]
    const [created] = await json('keys', 'create', ...of, '--name', 'till 3', '--scopes', 'payments:read')
    const { secret, ...key } = created
    expect(key).to.include({ merchant_id: merchant.id, name: 'till 3', status: 'active', pepper: 'current' })
    expect(key).to.deep.include({ scopes: ['payments:read'], expires_at: null })
    const [stored] = await findKeys(db, [defined(readKey(secret, { sandbox: true }), 'key').id])
    expect(stored?.hash).to.deep.equal(hashKey(secret, parsePeppers(PEPPER)[0]))
    expect(await json('keys', 'list', ...of)).to.deep.equal([key])

    const [rotated] = await json('keys', 'rotate', key.id, '--overlap', '48h')
    expect(rotated).to.include({ name: 'till 3', replaces: key.id })
    const overlapMs = Date.parse(rotated.replaced_expires_at) - Date.parse(rotated.created_at)
    expect(overlapMs).to.be.within(48 * 3_600_000 - 60_000, 48 * 3_600_000 + 60_000)
    expect((await json('keys', 'list', ...of)).map(({ id, status }) => [id, status])).to.deep.equal([
      [key.id, 'active'],
      [rotated.id, 'active'],
    ])

    const [revoked] = await json('keys', 'revoke', key.id)
    expect(revoked).to.include({ id: key.id, status: 'revoked', replaced_by: rotated.id })
    expect(await json('keys', 'revoke', key.id)).to.deep.equal([revoked])
  })

  it('prints aligned text for people, and a secret only when it is created', async () => {
    const { stdout } = await run([...CREATE, '--expires-at', '2999-01-01'])
    const [, secret] = /^secret +(cf_test_\w{53})$/m.exec(stdout) ?? []
    expect(stdout).to.match(/^expires_at +2999-01-01T00:00:00\.000Z \(in \d+d.*\)$/m)
    const listed = (await run(['keys', 'list'])).stdout
    expect(listed.split('\n')[0]).to.match(/^id +merchant_id +name +status +scopes +pepper /)
    expect(listed).to.include(secret?.slice(8, 21)).and.to.not.include(secret?.slice(22))
  })

  it('does not repeat a key that is given in place of its id, and says what the id is', async () => {
    const [{ secret }] = await json(...CREATE)
    const { code, stderr } = await run(['keys', 'revoke', secret])
    expect(code).to.equal(2)
    expect(stderr).to.include('those after cf_test_ or cf_live_').and.to.not.include(secret.slice(22))
  })

  it('lists by which pepper a key was made, if it knows the peppers', async () => {
    await json(...CREATE)
    const pepperWith = async (pepper: string) =>
      JSON.parse((await run(['keys', 'list', '--json'], { KEY_PEPPER: pepper })).stdout).pepper
    expect(await pepperWith(PEPPER)).to.equal('current')
    expect(await pepperWith(`${NEXT_PEPPER},${PEPPER}`)).to.equal('old')
    expect(await pepperWith(NEXT_PEPPER)).to.equal('unknown')
    expect(await pepperWith('')).to.equal(null)
  })

  it('makes keys that begin with cf_live_ where the database is live', async () => {
    await sql`update deployment set mode = 'live'`.execute(db)
    for (const SANDBOX of ['no', ''])
      expect(JSON.parse((await run([...CREATE, '--json'], { SANDBOX })).stdout).secret).to.match(/^cf_live_/)
    await sql`update deployment set mode = 'sandbox'`.execute(db)
  })

  it('exits with 1 where an id is unknown or KEY_PEPPER is missing, and with 3 where it is too short', async () => {
    for (const [args, why, env] of [
      [['keys', 'create', '--merchant', UNKNOWN_ID], 'No merchant has this id.'],
      [['keys', 'list', '--merchant', UNKNOWN_ID], 'No merchant has this id.'],
      [['keys', 'revoke', '0unknown00000'], 'No key has this id.'],
      [['keys', 'rotate', '0unknown00000'], 'No key has this id.'],
      [CREATE, 'KEY_PEPPER is not set. ', { KEY_PEPPER: '' }],
      [['keys', 'rotate', '0unknown00000'], 'KEY_PEPPER is not set. ', { KEY_PEPPER: '' }],
      [CREATE, 'KEY_PEPPER: must have 32 to 512 printable', { KEY_PEPPER: 'too-short' }],
    ] as const) {
      const { code, stdout, stderr } = await run(args, env)
      expect([code, stdout]).to.deep.equal([why.startsWith('KEY_PEPPER: ') ? 3 : 1, ''])
      expect(stderr).to.include(why).and.to.not.include('too-short')
    }
    expect(await json('keys', 'list')).to.deep.equal([])
  })

  it('exits with 1 and names the key when a secret cannot be printed', async () => {
    for (const [output, reason] of [
      ['> /dev/full', 'ENOSPC'],
      ['| true', 'the reader of standard output is gone'],
    ]) {
      const { stdout, stderr } = await promisify(execFile)(
        'bash',
        // `true` has ended before the command prints.
        ['--norc', '-c', `"$@" ${output}; echo "\${PIPESTATUS[0]}"`, 'bash', process.execPath, MAIN, ...CREATE],
        { env: { PATH: process.env.PATH, APP_ENV: 'production', ...envOf() } },
      )
      expect(stdout).to.equal('1\n')
      const [, id] = /^Key (\w{13}) is stored, but its secret was not printed: /.exec(stderr) ?? []
      expect(stderr).to.include(reason).and.to.not.include('cf_test_')
      expect(await findKeys(db, [defined(id, 'id')])).to.have.length(1)
    }
  })

  it('leaves a key as it was when a rotation is killed in the middle, and rotates it the next time', async () => {
    const [key] = await json(...CREATE)
    const waiting = async () => {
      const { rows } = await sql<{ count: number }>`select count(*)::int as count from pg_stat_activity
        where datname = current_database() and application_name = 'cashflow-operator' and wait_event_type = 'Lock'`.execute(
        db,
      )
      return defined(rows[0], 'row').count
    }
    await db.transaction().execute(async (tx) => {
      await sql`lock table merchants`.execute(tx)
      const rotating = spawn(process.execPath, [MAIN, 'keys', 'rotate', key.id], {
        env: { APP_ENV: 'production', ...envOf() },
        stdio: 'ignore',
      })
      await eventually(async () => expect(await waiting()).to.equal(1))
      rotating.kill('SIGKILL')
      await once(rotating, 'exit')
    })
    await eventually(async () => expect(await waiting()).to.equal(0))
    expect(await json('keys', 'list')).to.deep.equal(
      [{ ...key, secret: undefined }].map((fields) => JSON.parse(JSON.stringify(fields))),
    )
    expect((await json('keys', 'rotate', key.id))[0]).to.include({ replaces: key.id })
  })
})
