import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { createDatabase, insertPayments, type Tables } from '@cashflow/db'
import { parkPayment } from '@cashflow/db/worker'
import { buryMessage } from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'
import { aPayment, createTestDatabase, eventually, nullLogger, query, type TestDatabase } from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import { MAIN, runCashflow } from './run-cashflow.ts'

describe("cashflow: operators' acts", function () {
  // Each command starts a process.
  this.timeout(300_000)
  let database: TestDatabase
  let db: Kysely<Tables>
  beforeEach(async () => {
    database = await createTestDatabase()
    db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 5, logger: nullLogger })
  })
  afterEach(async () => {
    await db.destroy()
    await database.drop()
  })

  const run = (...args: string[]) => runCashflow([...args, '--actor', 'ann@ops'], { DATABASE_URL: database.url })
  const json = async (...args: string[]) => {
    const { stdout } = await run(...args, '--json')
    return stdout
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  }
  async function bury(source: string, reason: string, key: string = uuidv7()) {
    const letter = { messageId: uuidv7(), key, topic: 'payment.retry', payload: { payment_id: key }, attempts: 20 }
    await db.transaction().execute((tx) => buryMessage(tx, { ...letter, source, reason }))
    const stored = db.selectFrom('dead_letters').select('id').where('key', '=', key)
    return (await stored.executeTakeFirstOrThrow()).id
  }
  async function store(count = 1): Promise<string> {
    const inserts = Array.from({ length: count }, () => ({ ...aPayment(), requestId: 'r-1', messages: [] }))
    await db.transaction().execute((tx) => insertPayments(tx, inserts, { redriveAfterMs: 60_000 }))
    return inserts[0]?.payment.id ?? ''
  }
  /** Stores payments that were created an hour ago. */
  async function storeOld(count: number): Promise<string> {
    const id = await store(count)
    await sql`update payments set created_at = now() - interval '1 hour', redrive_at = now() + interval '1 hour'`.execute(
      db,
    )
    return id
  }

  // Promise 115
  it('dead requeue by filter: --dry-run changes nothing, and --expect acts on what it counted', async () => {
    const ids = [await bury('outbox', 'no queue is bound'), await bury('outbox', 'no queue is bound')]
    const other = await bury('outbox', 'too large')
    const filter = ['dead', 'requeue', '--source', 'outbox', '--containing', 'no queue']
    const [dry] = await json(...filter, '--dry-run')
    expect(dry).to.include({ dead_letters: 2, more: false })
    expect(await json('dead', 'list')).to.have.length(3)
    const later = await bury('outbox', 'no queue is bound')
    const refused = await run(...filter, '--expect', dry.hash)
    expect([refused.code, refused.stdout]).to.deep.equal([1, ''])
    expect(refused.stderr).to.match(
      /^The filter selects other dead letters than expected: 3 with the hash [0-9a-f]{16}\./,
    )
    expect(await json('dead', 'list')).to.have.length(4)
    const [again] = await json(...filter, '--limit', '2', '--dry-run')
    expect(again).to.deep.equal({ dead_letters: 2, hash: dry.hash, more: true })
    const done = await json(...filter, '--limit', '2', '--expect', dry.hash)
    expect(done).to.deep.equal(ids.map((id) => ({ id, resolution: 'requeued', why: null })))
    expect((await json('dead', 'list')).map(({ id }) => id)).to.deep.equal([other, later])
    const repeated = await run(...filter, '--limit', '2', '--expect', dry.hash)
    expect(repeated.code, 'repeated after a lost answer').to.equal(1)
    expect((await json('dead', 'list')).map(({ id }) => id)).to.deep.equal([other, later])
  })

  // Promise 115
  it('dead discard by ids: lists what was refused, does the others, and exits with 1', async () => {
    const first = await bury('queue', 'not JSON')
    const payment = await store()
    await db.transaction().execute((tx) => parkPayment(tx, payment, 0))
    const parked = await bury('worker', 'ten attempts', payment)
    const last = await bury('queue', 'not JSON')
    const { code, stdout, stderr } = await run(
      'dead',
      'discard',
      first,
      parked,
      last,
      first,
      '--reason',
      'ours',
      '--json',
    )
    expect(code).to.equal(1)
    expect(stderr).to.match(/1 of 3 dead letters were refused\.\n$/)
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).to.deep.equal([
      { id: first, resolution: 'discarded', why: null },
      {
        ...{ id: parked, resolution: 'refused' },
        why: `Payment ${payment} is parked. Requeue this dead letter, or settle the payment.`,
      },
      { id: last, resolution: 'discarded', why: null },
    ])
    expect(await json('dead', 'list')).to.have.length(1)
  })

  it('dead discard by ids: names the dead letter whose act failed, and says how many were not reached', async () => {
    const ids = [await bury('queue', 'not JSON'), await bury('queue', 'not JSON'), await bury('queue', 'not JSON')]
    await query(
      database.url,
      `create function fails() returns trigger language plpgsql as $$ begin
           raise exception 'no space left' using errcode = '53100';
         end $$;
         create trigger fails before update on dead_letters for each row when (old.id = ${ids[1]}) execute function fails()`,
    )
    const { code, stdout, stderr } = await run('dead', 'discard', ...ids, '--reason', 'ours', '--json')
    expect(code).to.equal(3)
    expect(stderr).to.match(/1 of 3 dead letters were not reached\.\nno space left\n$/)
    const lines = stdout.trim().split('\n')
    expect(lines.map((line) => JSON.parse(line))).to.deep.equal([
      { id: ids[0], resolution: 'discarded', why: null },
      { id: ids[1], resolution: 'unknown', why: 'no space left' },
    ])
  })

  it('dead show: has the whole letter, and what operators did about it', async () => {
    const id = await bury('queue', 'not JSON\u001b[31m')
    await run('dead', 'discard', id, '--reason', 'ours')
    const [shown] = await json('dead', 'show', id)
    expect(shown).to.deep.include({
      id,
      source: 'queue',
      reason: 'not JSON\u001b[31m',
      resolution: 'discarded: ours',
      headers: {},
    })
    expect(shown.acts).to.have.length(1)
    expect(shown.acts[0]).to.include({ actor: 'ann@ops', action: 'dead discard', target: id, reason: 'ours' })
    const people = await run('dead', 'show', id)
    expect(people.stdout)
      .to.include('not JSON\\u001b[31m')
      .and.to.include('dead discard')
      .and.to.not.include('\u001b[31m')
    expect((await run('dead', 'show', '999')).code).to.equal(1)
  })

  // Promise 112
  it('audit list: names the operator of --actor, and the program and role of the session', async () => {
    const id = await store()
    expect((await run('payments', 'settle', id, '--success', '--reason', 'the bank says so')).code).to.equal(0)
    const acts = await json('audit', 'list', '--target', id)
    expect(acts).to.have.length(1)
    expect(acts[0]).to.deep.include({
      ...{ actor: 'ann@ops', action: 'payments settle', target: id, reason: 'the bank says so' },
      ...{ before: { status: 'PENDING' }, after: { status: 'SUCCESS', failure_code: null } },
    })
    expect(acts[0].via).to.match(/^cashflow as \w+$/)
    expect((await run('audit', 'list')).stdout).to.include('status PENDING → SUCCESS')
    const others = await runCashflow(['audit', 'list', '--actor', 'bob@ops'], { DATABASE_URL: database.url })
    expect([others.code, others.stdout]).to.deep.equal([0, 'No acts.\n'])
    await runCashflow(['pause', 'worker', '--reason', 'x'], { DATABASE_URL: database.url })
    const [newest] = (
      await runCashflow(['audit', 'list', '--limit', '1', '--json'], { DATABASE_URL: database.url })
    ).stdout.split('\n')
    expect(JSON.parse(newest ?? ''))
      .to.have.property('actor')
      .that.matches(/.@./)
  })

  it('redrive: makes a payment due, refuses a settled one, and changes nothing with --dry-run', async () => {
    const id = await storeOld(3)
    expect(await json('redrive', '--pending-over', '10m', '--dry-run')).to.deep.equal([
      { would_redrive: 3, leased: 0, waiting: 0, locked: 0, due_already: 0 },
    ])
    expect(await json('redrive', '--pending-over', '2h')).to.deep.equal([
      { redriven: 0, leased: 0, waiting: 0, locked: 0, due_already: 0 },
    ])
    expect(await json('redrive', id, '--reason', 'lost')).to.deep.equal([{ id, redriven: true }])
    expect(await json('redrive', '--pending-over', '10m', '--limit', '1')).to.deep.equal([
      { redriven: 1, leased: 0, waiting: 0, locked: 0, due_already: 1 },
    ])
    await run('settle', id, '--success', '--reason', 'x')
    const refused = await run('redrive', id)
    expect([refused.code, refused.stderr]).to.deep.equal([1, 'The payment is SUCCESS already.\n'])
  })

  // Promise 114
  it('redrive: redrives at most 100 payments a second, and ends after Ctrl-C with what it has done', async () => {
    await storeOld(1_000)
    const due = async () => {
      const { rows } = await sql<{
        n: number
      }>`select count(*)::int as n from payments where redrive_at <= now()`.execute(db)
      return rows[0]?.n ?? 0
    }
    const from = performance.now()
    expect(await json('redrive', '--pending-over', '10m', '--limit', '250')).to.deep.equal([
      { redriven: 250, leased: 0, waiting: 0, locked: 0, due_already: 0 },
    ])
    expect(performance.now() - from).to.be.above(2_000)
    const child = spawn(process.execPath, [MAIN, 'redrive', '--pending-over', '10m', '--json'], {
      env: { APP_ENV: 'production', SANDBOX: 'yes', DATABASE_URL: database.url },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const [stdout, stderr] = [text(child.stdout), text(child.stderr)]
    const ended = once(child, 'exit')
    await eventually(async () => expect(await due()).to.be.above(250))
    child.kill('SIGINT')
    expect(await ended).to.deep.equal([1, null])
    expect(await stderr).to.match(/^(\d+ payments redriven\n)*Interrupted\. To continue, run the command again\.\n$/)
    const { redriven } = JSON.parse(await stdout)
    expect(redriven % 100, 'whole batches').to.equal(0)
    expect(await due())
      .to.equal(250 + redriven)
      .and.to.be.below(1_000)
    expect(await json('redrive', '--pending-over', '10m', '--limit', '1')).to.deep.equal([
      { redriven: 1, leased: 0, waiting: 0, locked: 0, due_already: 250 + redriven },
    ])
  })
})
