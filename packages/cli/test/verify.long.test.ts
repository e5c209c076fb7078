import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  createTestDatabase,
  eventually,
  openClient,
  type Pipeline,
  query,
  startPipeline,
  type TestDatabase,
} from '@cashflow/testing'
import { expect } from 'chai'
import { createHeadsWriter } from '../src/verify/write-heads.ts'
import { MAIN, runCashflow } from './run-cashflow.ts'

const PAYMENTS = 600
const CLIENTS = 40
const OF_EARLIER_VERSION = 5_000

describe('cashflow verify', function () {
  // Each command starts a process.
  this.timeout(600_000)
  let database: TestDatabase
  let pipeline: Pipeline
  let directory: string
  before(async () => {
    database = await createTestDatabase()
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 2 }, { PROVIDER_DELAY_MS: '2000' }, { database })
    directory = await mkdtemp(join(tmpdir(), 'cashflow-verify-'))
  })
  after(async () => {
    await pipeline.stop()
    await rm(directory, { recursive: true })
  })

  const verify = (...args: string[]) => verifyAt(database.url, ...args)
  /** Without the lines of progress, which a slow machine prints. */
  async function verifyAt(url: string, ...args: string[]) {
    const { code, stdout, stderr } = await runCashflow(['verify', ...args], { DATABASE_URL: url })
    return { code, stdout, stderr: stderr.replace(/^\d+ payments, \d+ deliveries, \d+ messages, \d+ findings\n/gm, '') }
  }
  const change = (text: string, values: unknown[] = []) => pipeline.db.query(text, values)
  const file = (name: string) => join(directory, name)
  const count = async (where: string) =>
    Number((await change(`select count(*) from payments where ${where}`)).rows[0].count)
  const anyId = async (status: string) =>
    String((await change('select id from payments where status = $1 order by id limit 1', [status])).rows[0].id)
  const linesOf = (text: string) =>
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))

  // Promise 106
  it('verify finds nothing while hundreds of payments are created and settled', async () => {
    let created = 0
    const client = async () => {
      while (created < PAYMENTS) {
        created += 1
        expect((await pipeline.post(`verified ${created}`)).status).to.equal(201)
      }
    }
    const clients = Promise.all(Array.from({ length: CLIENTS }, client))
    const inFlight: number[] = []
    do {
      const { code, stdout, stderr } = await verify('--json', '--all-sealed')
      expect([code, stderr], stdout).to.deep.equal([0, ''])
      inFlight.push(await count("status = 'PENDING'"))
    } while (inFlight.at(-1) !== 0 || created < PAYMENTS)
    await clients
    expect(Math.max(...inFlight), 'payments in flight during a run').to.be.above(200)
    expect(linesOf((await verify('--json')).stdout)).to.have.length(1)
  })

  it('verify prints what was changed by hand, and shows a terminal no control characters', async () => {
    const id = await anyId('SUCCESS')
    const { rows } = await change('select reference from payments where id = $1', [id])
    await change("update payments set reference = 'a' || chr(27) || '[2J' where id = $1", [id])
    const found = await verify()
    expect(found).to.include({ code: 1, stderr: '1 findings.\n' })
    expect(found.stdout).to.include(`${id}  reference: expected "${rows[0].reference}", found "a\\u001b[2J"\n`)
    const [finding, counts] = linesOf((await verify('--json', id)).stdout)
    expect(finding).to.deep.equal({
      ...{ payment_id: id, what: 'reference', expected: rows[0].reference, found: 'a\u001b[2J' },
    })
    expect(counts).to.include({ payments: 1, findings: 1 })
    const closed = await promisify(execFile)(
      'bash',
      ['--norc', '-c', '"$0" "$1" verify | true; echo "$PIPESTATUS"', process.execPath, MAIN],
      { env: { PATH: process.env.PATH, APP_ENV: 'production', SANDBOX: 'yes', DATABASE_URL: database.url } },
    )
    expect(closed.stdout).to.equal('1\n')
    await change('update payments set reference = $1 where id = $2', [rows[0].reference, id])
    expect(await verify(id)).to.include({ code: 0, stderr: '' })
  })

  // Promise 107
  it('verify --against finds a deleted payment and a rewritten history, of which verify alone finds nothing', async () => {
    const exported = await verify('--export', file('heads'))
    expect([exported.code, exported.stderr]).to.deep.equal([0, ''])
    expect(exported.stdout).to.match(new RegExp(`\nexported_heads +${PAYMENTS}\nexported_to +${file('heads')}\n`))
    expect((await pipeline.post('after the export')).status).to.equal(201)
    await eventually(async () => expect(await count("status = 'PENDING'")).to.equal(0))
    const [deleted, rewritten] = [await anyId('FAILED'), await anyId('SUCCESS')]
    await change(`do $$ begin
      set local session_replication_role = replica;
      delete from payments where id = '${deleted}';
      delete from payment_events where payment_id = '${deleted}';
    end $$`)
    await change('update payments set amount_minor = 1, last_hash = null where id = $1', [rewritten])
    await change('update payment_events set hash = null where payment_id = $1', [rewritten])
    await change(
      `update payment_events set data = data || '{"amount": "0.01"}' where payment_id = $1 and sequence = 1`,
      [rewritten],
    )
    expect(await verify('--seal')).to.include({ code: 0, stderr: '' })
    expect(await verify('--all-sealed')).to.include({ code: 0, stderr: '' })
    const found = await verify('--against', file('heads'), '--export', file('next'))
    expect(found.code).to.equal(1)
    expect(found.stderr).to.equal(
      `2 findings. ${file('next')} has the changed payments as they are now. Keep ${file('heads')}, and compare with it until each is explained.\n`,
    )
    expect(found.stdout).to.include(`${deleted}  payment: expected "a row", found nothing\n`)
    expect(found.stdout).to.include(`${rewritten}  history up to event 2, as exported: expected "`)
    expect(found.stdout).to.match(/\ncompared +599\nnot_in_export +1\nexported_heads +600\n/)
    const hidden = await verify('--against', file('next'))
    expect(hidden.code, 'the rewritten history is the reference now').to.equal(0)
    expect(hidden.stderr).to.equal(
      `${file('next')} was written by a run with 2 findings: what it found may not be found again. Compare with an earlier file too.\n`,
    )
  })

  it('verify refuses files that are damaged, incomplete, of another kind or of another database, with 3', async () => {
    const whole = await readFile(file('next'), 'latin1')
    const lines = whole.split('\n')
    for (const [name, text, why] of [
      ['flipped', whole.replace(' s -\n', ' u -\n'), 'is damaged'],
      ['cut', whole.slice(0, -300), 'has no last line'],
      ['lines', [...lines.slice(0, 5), ...lines.slice(6)].join('\n'), 'is damaged'],
      ['empty', '', 'has no last line'],
      ['other', '{}\n', 'has no last line'],
    ] as const) {
      await writeFile(file(name), text)
      const refused = await verify('--against', file(name))
      expect([refused.code, refused.stdout], name).to.deep.equal([3, ''])
      expect(refused.stderr, name).to.include(why)
    }
    for (const [path, why] of [
      [file('absent'), 'no such file or directory'],
      [directory, 'illegal operation on a directory'],
    ] as const)
      expect(await verify('--against', path)).to.include({
        ...{ code: 3, stdout: '', stderr: `The file ${path} cannot be read: ${why}.\n` },
      })
    expect(await verify('--export', file('absent/heads'))).to.include({
      ...{
        code: 3,
        stdout: '',
        stderr: `The file ${file('absent/heads')} cannot be written: no such file or directory.\n`,
      },
    })
    const another = await createTestDatabase()
    await query(another.url, `update deployment set cursor_secret = sha256('another')`)
    const foreign = await verifyAt(another.url, '--against', file('next'))
    expect(foreign).to.include({ code: 3, stderr: `${file('next')} was exported from another database.\n` })
    await another.drop()
  })

  it('verify --export replaces no file, and leaves none behind if it fails', async () => {
    const before = await readFile(file('heads'), 'latin1')
    expect(await verify('--export', file('heads'))).to.include({
      code: 3,
      stderr: `The file ${file('heads')} exists already.\n`,
    })
    expect(await readFile(file('heads'), 'latin1')).to.equal(before)
    await change('alter table outbox_messages rename to hidden')
    expect((await verify('--export', file('failed'))).code).to.equal(3)
    await change('alter table hidden rename to outbox_messages')
    expect((await readdir(directory)).filter((name) => name.startsWith('failed'))).to.deep.equal([])
  })

  it('verify --export leaves no file behind after Ctrl-C', async () => {
    const files = async () => (await readdir(directory)).filter((name) => name.startsWith('interrupted'))
    const session = await openClient(database.url)
    await session.query('begin; lock table dead_letters')
    const verifying = spawn(process.execPath, [MAIN, 'verify', '--export', file('interrupted')], {
      env: { APP_ENV: 'production', SANDBOX: 'yes', DATABASE_URL: database.url },
    })
    const ended = once(verifying, 'exit')
    await eventually(async () => expect(await files()).to.have.length(1))
    verifying.kill('SIGINT')
    await session.end()
    expect(await ended).to.deep.equal([3, null])
    expect(await files()).to.deep.equal([])
  })

  it('verify --export replaces no file that appeared while it ran', async () => {
    const writer = await createHeadsWriter(file('late'), 'source')
    await writeFile(file('late'), 'another')
    expect(await writer.finish({}).catch(({ code }) => code)).to.equal('EEXIST')
    await writer.discard()
    expect(await readFile(file('late'), 'latin1')).to.equal('another')
    expect((await readdir(directory)).filter((name) => name.startsWith('late'))).to.deep.equal(['late'])
  })

  // Promise 108
  it('verify --seal goes on after it was killed', async () => {
    await change(`
      insert into payments (id, merchant_id, reference, amount_minor, currency, status, created_at, redrive_at)
      select gen_random_uuid(), '00000000-0000-7000-8000-000000000001', 'earlier ' || n, 100, 'USD', 'PENDING', '2026-01-01Z', now() + interval '1 hour'
      from generate_series(1, ${OF_EARLIER_VERSION}) n`)
    await change(`
      insert into payment_events (payment_id, merchant_id, sequence, type, data, actor, created_at)
      select id, merchant_id, 1, 'payment.created', jsonb_build_object('amount', '1.00', 'currency', 'USD', 'reference', reference), 'api', created_at
      from payments where reference like 'earlier %'`)
    const isUnsealed = "reference like 'earlier %' and last_hash is null"
    const sealing = spawn(process.execPath, [MAIN, 'verify', '--seal'], {
      env: { APP_ENV: 'production', SANDBOX: 'yes', DATABASE_URL: database.url },
    })
    await eventually(async () => expect(await count(isUnsealed)).to.be.below(OF_EARLIER_VERSION))
    sealing.kill('SIGKILL')
    await once(sealing, 'exit')
    const left = await count(isUnsealed)
    expect(left).to.be.above(0)
    const sealed = await verify('--seal', '--json')
    expect(sealed).to.include({ code: 0, stderr: '' })
    expect(linesOf(sealed.stdout)).to.have.nested.property('[0].sealed', left)
    expect(await verify('--all-sealed')).to.include({ code: 0, stderr: '' })
  })

  it('verify refuses wrong arguments with 2', async () => {
    const id = await anyId('SUCCESS')
    for (const args of [
      [id, '--seal'],
      ['--seal', '--all-sealed'],
    ])
      expect((await verify(...args)).code, args.join(' ')).to.equal(2)
    expect(await verify('00000000-0000-7000-8000-000000000009')).to.include({
      code: 1,
      stderr: 'No payment has this id.\n',
    })
  })
})
