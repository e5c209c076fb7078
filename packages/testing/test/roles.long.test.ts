import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import type pg from 'pg'
import { addresses } from '../src/addresses.ts'
import { eventually, type Pipeline, query, REPOSITORY, startPipeline, withDatabase } from '../src/index.ts'

const execute = promisify(execFile)

describe('database role with the grants of docs/operations.md', function () {
  this.timeout(180_000)
  const suffix = randomBytes(4).toString('hex')
  let url: string
  let pipeline: Pipeline | undefined

  before(async () => {
    const { postgresUrl } = addresses()
    const database = withDatabase(postgresUrl, `payments_${suffix}`)
    const ownerUrl = withLogin(database, `cashflow_owner_${suffix}`, 'change-me')
    url = withLogin(database, `cashflow_${suffix}`, 'change-me-too')
    const page = await readFile(join(REPOSITORY, 'docs/operations.md'), 'utf8')
    const section = page.slice(page.indexOf('## Roles and grants'), page.indexOf('## Operator'))
    // Roles belong to the whole server, and other tests share it.
    const blocks = [...section.matchAll(/```sql\n([^`]*)```/g)].map(([, text = '']) =>
      statements(text.replaceAll(/\b(cashflow(_owner)?|(?<=database )payments)\b/g, `$1_${suffix}`)),
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
  const stopWorkers = () => Promise.all(started().processes.worker.map((worker) => worker.stop()))
  const refused = (statement: string) =>
    started()
      .db.query(statement)
      .then(
        () => 'done',
        (error: pg.DatabaseError) => error.code,
      )

  // Promise 65
  it('lets api, relay and worker settle payments, and reject a reference that exists', async () => {
    await settled(await Promise.all(['REF-1', 'REF-2', 'REF-3'].map(post)))
    expect((await started().post('REF-1')).status).to.equal(409)
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

  it("lets the operator's commands list, requeue, discard and settle", async () => {
    await started().publish('no payment')
    const command = (...args: string[]) =>
      execute(process.execPath, [join(REPOSITORY, 'packages/cli/src/main.ts'), ...args], {
        cwd: tmpdir(),
        env: { ...process.env, DATABASE_URL: url },
      }).then(({ stdout }) => stdout)
    const letter = await eventually(async () => JSON.parse(await command('dead', 'list')) as { id: string }, {
      timeoutMs: 60_000,
    })
    await command('dead', 'discard', letter.id, '--reason', 'sent by a test')
    expect(await command('dead', 'list')).to.equal('')
    await stopWorkers()
    const parked = await post('REF-parked')
    await run(url, [
      `update payments set parked_at = now(), redrive_at = null where id = '${parked}'`,
      `insert into dead_letters (lane, message_id, key, topic, payload, source, reason)
        values (0, gen_random_uuid(), '${parked}', 'payment.created', '{}', 'worker', 'parked by a test')`,
    ])
    const { id } = JSON.parse(await command('dead', 'list')) as { id: string }
    await command('dead', 'requeue', id)
    await command('settle', parked, '--success', '--reason', 'on the bank statement')
    await settled([parked])
  })

  // Promise 65
  it('database role may not change events, delete payments, create tables or run programs', async () => {
    for (const statement of [
      "update payment_events set actor = 'another'",
      'delete from payment_events',
      'delete from payments',
      'truncate payments',
      'delete from pruned_references',
      'create table more (id int)',
      'alter table payments disable trigger all',
      "copy payments to program 'cat'",
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
