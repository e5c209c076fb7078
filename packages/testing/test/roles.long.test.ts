import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import type pg from 'pg'
import { addresses } from '../src/addresses.ts'
import {
  eventually,
  type Pipeline,
  query,
  REPOSITORY,
  startPipeline,
  startService,
  withDatabase,
} from '../src/index.ts'

const execute = promisify(execFile)
const PEPPER = 'p'.repeat(32)

describe('database role with the grants of docs/operations.md', function () {
  this.timeout(180_000)
  const suffix = randomBytes(4).toString('hex')
  let url: string
  let ownerUrl: string
  let operatorUrl: string
  let pipeline: Pipeline | undefined

  before(async () => {
    const { postgresUrl } = addresses()
    const database = withDatabase(postgresUrl, `payments_${suffix}`)
    ownerUrl = withLogin(database, `cashflow_owner_${suffix}`, 'change-me')
    url = withLogin(database, `cashflow_${suffix}`, 'change-me-too')
    operatorUrl = withLogin(database, `cashflow_operator_${suffix}`, 'change-me-as-well')
    const page = await readFile(join(REPOSITORY, 'docs/operations.md'), 'utf8')
    const section = page.slice(page.indexOf('## Roles and grants'), page.indexOf('## Operator'))
    // Roles belong to the whole server, and other tests share it.
    const blocks = [...section.matchAll(/```sql\n([^`]*)```/g)].map(([, text = '']) =>
      statements(text.replaceAll(/\b(cashflow(?:_owner|_operator)?|(?<=database )payments)\b/g, `$1_${suffix}`)),
    )
    expect(blocks).to.have.length(2)
    await run(postgresUrl, blocks[0] ?? [])
    await execute(process.execPath, [join(REPOSITORY, 'db/src/migrate-main.ts')], {
      cwd: tmpdir(),
      env: { ...process.env, DATABASE_URL: ownerUrl },
    })
    await run(ownerUrl, blocks[1] ?? [])
    const drop = () =>
      run(postgresUrl, [
        `drop database payments_${suffix} with (force)`,
        `drop role cashflow_operator_${suffix}`,
        `drop role cashflow_${suffix}`,
        `drop role cashflow_owner_${suffix}`,
      ])
    const settings = { REDRIVE_AFTER_MS: '1000', RECONCILE_INTERVAL_MS: '100' }
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 1 }, settings, { database: { url, drop } })
  })
  after(() => pipeline?.stop())

  const started = () => pipeline ?? expect.fail('The services did not start')
  const settled = (ids: readonly string[]) =>
    eventually(
      async () => {
        const { rows } = await started().db.query(
          'select 1 from payments where id = any($1) and settled_at is not null',
          [ids],
        )
        expect(rows).to.have.length(ids.length)
      },
      { timeoutMs: 60_000 },
    )
  async function post(reference: string): Promise<string> {
    const { status, id } = await started().post(reference)
    expect(status).to.equal(201)
    return id
  }
  /** Sends a request to an api that needs keys. Its stop stores the last use of the key. */
  async function useKey({ id, secret }: Record<string, string>) {
    const api = startService('api', { DATABASE_URL: url, PORT: '0', AUTH: 'api-key', KEY_PEPPER: PEPPER })
    const { url: apiUrl } = await api.logged('listening')
    const answer = await fetch(`${apiUrl}/payments/x`, { headers: { Authorization: `Bearer ${secret}` } })
    expect(answer.status).to.equal(404)
    const events = await fetch(`${apiUrl}/events`, { headers: { Authorization: `Bearer ${secret}` } })
    expect(events.status).to.equal(200)
    expect(await api.stop()).to.equal(0)
    const { rows } = await started().db.query('select 1 from api_keys where id = $1 and last_used_at is not null', [id])
    expect(rows).to.have.length(1)
  }
  const stopWorkers = () => Promise.all(started().processes.worker.map((worker) => worker.stop()))
  const refused = (statement: string) =>
    started()
      .db.query(statement)
      .then(
        () => 'done',
        (error: pg.DatabaseError) => error.code,
      )

  /** Runs a command of the operator, and returns its output. */
  const command = (...args: string[]) =>
    execute(process.execPath, [join(REPOSITORY, 'packages/cli/src/main.ts'), ...args], {
      cwd: tmpdir(),
      env: { ...process.env, DATABASE_URL: operatorUrl, KEY_PEPPER: PEPPER },
    }).then(({ stdout }) => stdout)

  // Promise 65
  it('lets api, relay and worker settle payments, and reject a reference that exists', async () => {
    await settled(await Promise.all(['REF-1', 'REF-2', 'REF-3'].map(post)))
    expect((await started().post('REF-1')).status).to.equal(409)
  })

  it('lets api, relay and worker write their heartbeats and read the facts of the database', async () => {
    await eventually(async () => {
      const { rows } = await started().db.query('select role from instances order by role')
      expect(rows.map(({ role }) => role)).to.deep.equal(['api', 'relay', 'worker'])
    })
    const lines = Object.values(started().processes).flatMap((processes) => processes.flatMap(({ logs }) => logs))
    expect(lines.filter(({ message }) => /^could not (write|read)/.test(message))).to.deep.equal([])
  })

  it('lets the services redrive a payment whose message is lost, and one whose lease has ended', async () => {
    await stopWorkers()
    const lost = await post('REF-lost')
    await eventually(async () => expect(await started().queueDepth()).to.equal(1))
    await started().purge()
    const id = await post('REF-leased')
    await run(url, [
      `update payments set claim_token = gen_random_uuid(), lease_until = now() + interval '1 hour' where id = '${id}'`,
    ])
    const worker = await started().start('worker')
    await worker.logged('payment is leased, its message is rescheduled', { timeoutMs: 60_000 })
    await run(url, [
      'update payments set lease_until = now() where lease_until is not null',
      'update outbox_scheduled set due_at = now()',
    ])
    await settled([lost, id])
    await eventually(
      async () => {
        const { rows } = await started().db.query(
          'select 1 from outbox_scheduled union all select 1 from outbox_messages',
        )
        expect(rows).to.have.length(0)
      },
      { timeoutMs: 60_000 },
    )
  })

  it("lets the operator's commands list, requeue, discard, redrive and settle, make merchants and keys, and read what operators did", async () => {
    await started().publish('no payment')
    const letter = await eventually(async () => JSON.parse(await command('dead', 'list', '--json')) as { id: string }, {
      timeoutMs: 60_000,
    })
    await command('dead', 'discard', letter.id, '--reason', 'sent by a test')
    const merchant = JSON.parse(await command('merchants', 'create', 'Shop', '--json')) as { id: string }
    const key = JSON.parse(await command('keys', 'create', '--merchant', merchant.id, '--json')) as Record<
      string,
      string
    >
    await useKey(key)
    await command('keys', 'revoke', key.id ?? '')
    expect(await command('dead', 'list', '--json')).to.equal('')
    await command('pause', 'relay', '--for', '1m', '--reason', 'a test')
    await command('resume', 'relay')
    await stopWorkers()
    const parked = await post('REF-parked')
    await run(url, [
      `update payments set parked_at = now(), redrive_at = null where id = '${parked}'`,
      `insert into dead_letters (lane, message_id, key, topic, payload, source, reason)
        values (0, gen_random_uuid(), '${parked}', 'payment.created', '{}', 'worker', 'parked by a test')`,
    ])
    const { id } = JSON.parse(await command('dead', 'list', '--json')) as { id: string }
    await command('dead', 'requeue', id)
    await command('redrive', parked)
    await command('settle', parked, '--success', '--reason', 'on the bank statement')
    await settled([parked])
    const acts = (await command('audit', 'list', '--target', parked, '--json')).trim().split('\n')
    expect(acts.map((line) => JSON.parse(line))[0]).to.include({
      action: 'payments settle',
      via: `cashflow as cashflow_operator_${suffix}`,
    })
  })

  it("lets an api with the operators' role serve the console: a login, an act, and its record", async () => {
    const settings = { PORT: '0', CONSOLE_PORT: '0', KEY_PEPPER: PEPPER }
    /** Logs in, and pauses the relays for a second. Returns the statuses of both. */
    const act = async (databaseUrl: string) => {
      const api = startService('api', { ...settings, DATABASE_URL: databaseUrl })
      const { url: consoleUrl } = await api.logged('console is listening')
      const headers = { 'Sec-Fetch-Site': 'same-origin', 'Content-Type': 'application/json' }
      const post = (path: string, body: object, Cookie = '') =>
        fetch(`${consoleUrl}${path}`, { method: 'POST', headers: { ...headers, Cookie }, body: JSON.stringify(body) })
      const { token } = JSON.parse(await command('console', 'token', '--name', 'ann', '--role', 'operate', '--json'))
      const login = await post('/api/login', { token })
      const [cookie = ''] = login.headers.getSetCookie()
      const paused = await post('/api/pauses/relay', { reason: 'a test', for_ms: 1_000 }, cookie.split(';')[0])
      expect(await api.stop()).to.equal(0)
      return [login.status, paused.status]
    }
    expect(await act(operatorUrl)).to.deep.equal([200, 200])
    const record = `select actor, via, target from operator_actions where action = 'pause' order by id desc limit 1`
    expect(await query(ownerUrl, record)).to.deep.equal([
      { actor: 'ann', via: `console as cashflow_operator_${suffix}`, target: 'relay' },
    ])
    expect(await act(url)).to.deep.equal([200, 500])
  })

  it('lets the api store when a key was last used', async () => {
    const touch = `with free as (select id from api_keys for no key update skip locked)
      update api_keys set last_used_at = now() from free where api_keys.id = free.id`
    expect(await refused(touch)).to.equal('done')
  })

  // Promise 65
  it('database role may not change events, delete payments, create tables or keys, read or write what operators did, or run programs', async () => {
    for (const statement of [
      "update payment_events set actor = 'another'",
      'delete from payment_events',
      "update payment_events set hash = sha256('another'), trace = null",
      'delete from payment_attempts',
      'update operator_actions set reason = null',
      'delete from operator_actions',
      'delete from payments',
      'truncate payments',
      'delete from pruned_references',
      "update deployment set mode = 'live'",
      'create table more (id int)',
      'alter table payments disable trigger all',
      "copy payments to program 'cat'",
      "insert into merchants (id, name) values (gen_random_uuid(), 'another')",
      "insert into api_keys (id) values ('0aB3dE5fG7hI9')",
      'update api_keys set revoked_at = null',
      'select 1 from operator_actions',
      "insert into operator_actions (actor, via, action, target) values ('a', 'b', 'c', 'd')",
    ])
      expect(await refused(statement), statement).to.equal('42501')
  })
})

function withLogin(url: string, user: string, password: string): string {
  return Object.assign(new URL(url), { username: user, password }).href
}

function statements(text: string): string[] {
  return text.split(';').filter((statement) => statement.trim() !== '')
}

async function run(url: string, all: readonly string[]): Promise<void> {
  for (const statement of all) await query(url, statement)
}
