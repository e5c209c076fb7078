import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createDatabase, insertPayments, type Tables } from '@cashflow/db'
import { buryMessage } from '@cashflow/outbox'
import { redact, uuidv7 } from '@cashflow/runtime'
import {
  aPayment,
  createTestDatabase,
  createUnreadableRows,
  nullLogger,
  openClient,
  query,
  type TestDatabase,
} from '@cashflow/testing'
import { expect } from 'chai'
import type { Kysely } from 'kysely'
import { MAIN, runCashflow } from './run-cashflow.ts'

describe('cashflow', function () {
  // Each command starts a process.
  this.timeout(180_000)
  let database: TestDatabase
  let db: Kysely<Tables>
  before(async () => {
    database = await createTestDatabase()
    db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 5, logger: nullLogger })
  })
  after(async () => {
    await db.destroy()
    await database.drop()
  })

  const run = (args: readonly string[], url = database.url) => runCashflow(args, { DATABASE_URL: url })

  it('lists, requeues and discards dead letters', async () => {
    await db.transaction().execute(async (tx) => {
      const letter = { messageId: uuidv7(), topic: 't', source: 'outbox', reason: 'r', attempts: 20 }
      await buryMessage(tx, { ...letter, key: 'a', payload: 'first' })
      await buryMessage(tx, { ...letter, key: 'b', payload: '\u001b[31mred' })
    })
    const list = async () => (await run(['dead', 'list', '--json'])).stdout.trim().split('\n').filter(Boolean)
    const lines = await list()
    expect(lines.join()).to.not.include('\u001b')
    const [first, second] = lines.map((line) => JSON.parse(line))
    expect(first).to.include({ source: 'outbox', topic: 't', key: 'a', payload: 'first', attempts: 20, reason: 'r' })
    expect(first.died_at).to.match(/^\d{4}-\d\d-\d\dT/)
    const requeued = await run(['dead', 'requeue', first.id, '--json'])
    expect([requeued.code, requeued.stdout]).to.deep.equal([0, `{"id":"${first.id}","resolution":"requeued"}\n`])
    const discarded = await run(['dead', 'discard', second.id, '--reason', 'ours'])
    expect([discarded.code, discarded.stdout]).to.deep.equal([0, `id          ${second.id}\nresolution  discarded\n`])
    expect(await list()).to.deep.equal([])
  })

  it('pauses a component until a time, replaces its pause, and resumes it once', async () => {
    const pause = (...more: string[]) => run(['pause', 'worker', '--json', ...more])
    const first = JSON.parse((await pause('--for', '30m', '--reason', 'the provider moves')).stdout)
    expect(first).to.include({ component: 'worker', reason: 'the provider moves' })
    expect(Date.parse(first.until) - Date.parse(first.paused_at)).to.equal(1_800_000)
    expect(first).to.not.have.property('ignored_by')
    const former = await openClient(database.url, { application_name: 'cashflow-worker (schema 0018)' })
    const second = JSON.parse((await pause('--reason', 'it takes longer')).stdout)
    await former.end()
    expect(second.ignored_by).to.equal('cashflow-worker (schema 0018)')
    expect(second).to.include({ reason: 'it takes longer', until: null, paused_by: first.paused_by })
    expect(await run(['resume', 'relay'])).to.include({ code: 1, stderr: 'The relay is not paused.\n' })
    const resumed = JSON.parse(
      (await run(['resume', 'worker', '--reason', 'it has moved', '--actor', 'ann', '--json'])).stdout,
    )
    expect(resumed).to.include({ reason: 'it takes longer', resumed_by: 'ann', resume_reason: 'it has moved' })
    const acts = await run(['audit', 'list', '--action', 'resume'])
    expect(acts.stdout.trim().split('\n')).to.have.length(2)
    expect(acts.stdout).to.include(`resumed_at ${resumed.resumed_at}, resumed_by ann`)
    expect(await run(['resume', 'worker'])).to.include({ code: 1, stderr: 'The worker is not paused.\n' })
  })

  it('prints a pause that was made, also if it cannot be known who ignores it', async () => {
    // Only a superuser may read a view that was revoked.
    const role = await createUnreadableRows(database.url, { table: 'payments', condition: 'false' })
    await query(database.url, 'revoke select on pg_stat_activity from public')
    const { code, stdout } = await run(['pause', 'relay', '--reason', 'the broker moves', '--json'], role.url)
    await query(database.url, 'grant select on pg_stat_activity to public')
    await role.drop()
    expect([code, JSON.parse(stdout).ignored_by]).to.deep.equal([0, 'unknown'])
    await run(['resume', 'relay'])
  })

  it('exits with 0 when the reader of a list closes its pipe, and with 3 when a list cannot be written', async () => {
    await db.transaction().execute(async (tx) => {
      for (let key = 0; key < 100; key++) {
        const letter = {
          messageId: uuidv7(),
          topic: 'head',
          source: 'outbox',
          reason: 'r'.repeat(2_000),
        }
        await buryMessage(tx, { ...letter, attempts: 20, key: String(key), payload: 'p' })
      }
    })
    const list = [process.execPath, MAIN]
    const shell = (script: string) =>
      promisify(execFile)('bash', ['--norc', '-c', script, ...list], {
        env: { PATH: process.env.PATH, DATABASE_URL: database.url, SANDBOX: 'yes', APP_ENV: 'production' },
      })
    const piped = await shell('"$0" "$1" dead list --json | head -1; echo "$PIPESTATUS"')
    expect(piped.stdout.split('\n').slice(1)).to.deep.equal(['0', ''])
    expect(piped.stderr).to.equal('')
    const helped = await shell('"$0" "$1" dead --help | true; echo "$PIPESTATUS"')
    expect([helped.stdout, helped.stderr]).to.deep.equal(['0\n', ''])
    const full = await shell('"$0" "$1" dead list --json > /dev/full; echo "$?"')
    expect([full.stdout, full.stderr]).to.deep.equal(['3\n', 'ENOSPC: no space left on device, write\n'])
    await db.deleteFrom('dead_letters').where('topic', '=', 'head').execute()
  })

  it('settles a payment, and refuses to settle it again', async () => {
    const id = await storePayment(db)
    const settled = await run(['settle', id, '--failed', '--reason', 'the bank says so', '--failure-code', 'fraud'])
    expect([settled.code, settled.stdout], settled.stderr).to.deep.equal([0, `id      ${id}\nstatus  FAILED\n`])
    const again = await run(['settle', id, '--success', '--reason', 'no'])
    expect([again.code, again.stderr]).to.deep.equal([1, 'The payment is FAILED already.\n'])
  })

  it('prints how a command is used, with exit code 0', async () => {
    for (const program of ['dead', 'settle'] as const) {
      const { code, stdout } = await run([program, '--help'], 'postgres://u:p@127.0.0.1:1/nowhere')
      expect(code).to.equal(0)
      expect(stdout).to.include(`npm run ${program} -- `).and.to.include(`docker compose run --rm migrate ${program} `)
    }
  })

  it('prints one error and where the help is after wrong arguments, with exit code 2', async () => {
    for (const [args, said] of [
      [['dead', 'bury'], "error: unknown command 'bury'\nsee cashflow dead --help\n"],
      [['dead', 'list', '--all'], "error: unknown option '--all'\nsee cashflow dead list --help\n"],
    ] as const)
      expect(await run(args, 'postgres://u:p@127.0.0.1:1/nowhere')).to.include({ code: 2, stderr: said })
  })

  it('cashflow: says that a list is empty, and prints nothing as JSON', async () => {
    const empty = await createTestDatabase()
    for (const [args, said] of [
      [['dead', 'list'], 'No dead letters.\n'],
      [['payments', 'list'], 'No payments.\n'],
      [['payments', 'list', '--status', 'PENDING'], 'No payments.\n'],
      [['events'], 'No events.\n'],
      [['audit', 'list', '--action', 'resume'], 'No acts.\n'],
      [['keys', 'list'], 'No keys.\n'],
    ] as const) {
      expect(await run(args, empty.url), args.join(' ')).to.include({ code: 0, stdout: said, stderr: '' })
    }
    expect(await run(['dead', 'list', '--json'], empty.url)).to.include({ code: 0, stdout: '', stderr: '' })
    await empty.drop()
  })

  it('payments list: names the merchant', async () => {
    const id = await storePayment(db)
    const [{ merchant_id, name } = {}] = await query(
      database.url,
      'select merchant_id, name from payments p join merchants m on m.id = p.merchant_id where p.id = $1',
      { values: [id] },
    )
    const { stdout } = await run(['payments', 'list', '--json'])
    const listed = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(listed.find((payment) => payment.id === id)).to.include({ merchant_id, merchant: name })
    expect((await run(['payments', 'list'])).stdout).to.match(new RegExp(`^${id} +${name} `, 'm'))
  })

  it('reports that PostgreSQL cannot be reached, with exit code 3', async () => {
    const { code, stderr } = await run(['dead', 'list'], 'postgres://u:hunter2@127.0.0.1:1/nowhere')
    expect(code).to.equal(3)
    expect(stderr).to.equal(
      'PostgreSQL cannot be reached: connect ECONNREFUSED 127.0.0.1:1. Check DATABASE_URL, or DB_HOST and DB_PORT.\n',
    )
  })

  it('names the settings when PostgreSQL refuses the login, with exit code 3', async () => {
    const url = new URL(database.url)
    url.password = 'hunter2'
    const { code, stderr } = await run(['dead', 'list'], url.href)
    expect(code).to.equal(3)
    expect(stderr)
      .to.match(/^PostgreSQL refuses the connection: password .*\. Check DATABASE_URL, or DB_USER and DB_PASSWORD\.\n$/)
      .and.to.not.include('hunter2')
  })

  it('cashflow: uses the PostgreSQL that stack.json names, without settings, and says so', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cashflow-cli-'))
    const inFolder = (env: Readonly<Record<string, string>> = {}) =>
      runCashflow(['merchants', 'list', '--json'], { APP_ENV: '', ...env }, folder)
    const writeStack = async (content: string) => {
      await mkdir(join(folder, '.cashflow'), { recursive: true })
      await writeFile(join(folder, '.cashflow/stack.json'), content)
    }
    await writeStack(JSON.stringify({ database_url: database.url, api: [] }))
    const found = await inFolder()
    expect([found.code, found.stdout]).to.deep.equal([0, (await run(['merchants', 'list', '--json'])).stdout])
    expect(found.stderr).to.equal(
      `Uses the PostgreSQL that .cashflow/stack.json names: ${String(redact(database.url))}\n`,
    )
    expect((await inFolder({ DATABASE_URL: database.url })).stderr).to.equal('')
    // In production only settings count, as for `.env`.
    expect((await inFolder({ APP_ENV: 'production', DB_PORT: '1' })).stderr).to.match(/^PostgreSQL cannot be reached/)
    await writeStack(JSON.stringify({ database_url: 'postgres://u:p@127.0.0.1:1/nowhere' }))
    const gone = await inFolder()
    expect(gone.code).to.equal(3)
    expect(gone.stderr).to.match(/ECONNREFUSED.* \.cashflow\/stack\.json names it: run "npm start" again/)
    await writeStack('{')
    const broken = await inFolder()
    expect([broken.code, broken.stdout]).to.deep.equal([3, ''])
    expect(broken.stderr).to.include('.cashflow/stack.json: cannot be read.')
    await rm(folder, { recursive: true })
  })

  it('cashflow: records the operator that --actor names, else the user and the machine', async () => {
    const pause = async (...more: string[]) =>
      JSON.parse((await run(['pause', 'worker', '--reason', 'x', '--json', ...more])).stdout).paused_by
    expect(await pause('--actor', 'Ada Lovelace')).to.equal('Ada Lovelace')
    expect(await pause()).to.equal(`${userInfo().username}@${hostname()}`)
    expect(await run(['--actor', '', 'resume', 'worker'])).to.include({ code: 2 })
    expect(await run(['--actor', 'Ada', 'resume', 'worker'])).to.include({ code: 0 })
  })
})

async function storePayment(db: Kysely<Tables>): Promise<string> {
  const { payment, event } = aPayment({ money: { amountMinor: 10_050n, currency: 'USD' } })
  const insert = { payment, event, requestId: 'r-1', messages: [] }
  await db.transaction().execute((tx) => insertPayments(tx, [insert], { redriveAfterMs: 60_000 }))
  return payment.id
}
