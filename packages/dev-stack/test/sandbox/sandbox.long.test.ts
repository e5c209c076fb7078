import { once } from 'node:events'
import { appendFileSync, readFileSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { defined, eventually } from '@cashflow/async'
import { expect } from 'chai'
import { query } from '../../src/servers/postgres-client.ts'
import { type SandboxRun, startSandboxRun } from '../support/sandbox-run.ts'

const PLAN = { rate: 40, simulate: null, seconds: 3 }
const GOOD = { lost: 0, doubled: 0, waiting: 0, refused: 0, unanswered: 0, unreadable: 0, stale: null }

describe('counter of npm start', function () {
  this.timeout(300_000)
  let sandbox: SandboxRun
  before(async () => {
    sandbox = await startSandboxRun()
  })
  after(() => sandbox.stop())

  const recordsOf = (name: string): Record<string, string>[] =>
    readFileSync(join(sandbox.folder, 'sandbox', name), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))

  /** Makes the payments of a new count, which are all settled, and returns one. */
  async function settleAll() {
    const { body } = await sandbox.ask('DELETE /counter')
    expect(body.counter).to.include({ accepted: 0, settled: 0, ...GOOD })
    await sandbox.begin(PLAN)
    expect((await sandbox.settled()).counter).to.include(GOOD)
    return defined(recordsOf('answers.jsonl')[0], 'answer')
  }
  const counted = (expected: object) =>
    eventually(async () => expect((await sandbox.state()).counter).to.include(expected))
  const charge = (fields: object) =>
    appendFileSync(join(sandbox.folder, 'sandbox/charges.jsonl'), `${JSON.stringify(fields)}\n`)

  it('sandbox of npm start counts each payment that was accepted as settled, and keeps what it was answered', async () => {
    const first = await settleAll()
    const { counter, ...facts } = await sandbox.state()
    expect(facts).to.deep.include({ obstacle: null, run: null, faults: [], charges_known: true })
    expect(facts.kinds).to.have.length(8)
    expect(counter.accepted).to.be.within(100, 120)
    expect(recordsOf('answers.jsonl')).to.have.length(counter.accepted)
    expect(first).to.include({ status: 201, simulate: null, error: null })
    const [stored] = await query(
      sandbox.file.database_url,
      `select count(*)::int, count(*) filter (where amount_minor between 100 and 25050)::int as within
       from payments where reference like 'sandbox-%'`,
    )
    expect(stored).to.deep.equal({ count: counter.accepted, within: counter.accepted })
  })

  it('sandbox of npm start is open to its user only', () => {
    const modeOf = (path: string) => statSync(join(sandbox.folder, path)).mode & 0o777
    expect(modeOf('.')).to.equal(0o700)
    for (const file of ['sandbox.sock', 'sandbox/charges.jsonl', 'sandbox/answers.jsonl'])
      expect(modeOf(file), file).to.equal(0o600)
  })

  it('sandbox of npm start makes one run at a time, and ends it when it is asked to', async () => {
    await sandbox.begin({ ...PLAN, seconds: 600 })
    const plan = { amount_min: '1', amount_max: '2', currency: 'USD', ...PLAN }
    expect((await sandbox.ask('POST /payments', plan)).status).to.equal(409)
    await sandbox.ask('DELETE /payments')
    await sandbox.settled()
  })

  // Promise 140
  it('counter of npm start: a payment is lost when a build loses the row of one that it has accepted', async () => {
    const { id } = await settleAll()
    // Without the triggers that let only a prune delete payments.
    await query(
      sandbox.file.database_url,
      `set session_replication_role = replica; delete from payments where id = '${id}'`,
    )
    await counted({ lost: 1, doubled: 0 })
  })

  // Promise 140
  it('counter of npm start: a payment is doubled when a build charges it under a second key', async () => {
    const { id } = await settleAll()
    const first = defined(
      recordsOf('charges.jsonl').find(({ payment_id }) => payment_id === id),
      'charge',
    )
    charge(first)
    charge({ ...first, key: 'another' })
    await counted({ lost: 0, doubled: 1 })
  })

  // Promise 140
  it('counter of npm start: a payment is doubled when a build charges it with a second outcome', async () => {
    const { id } = await settleAll()
    const first = defined(
      recordsOf('charges.jsonl').find(({ payment_id }) => payment_id === id),
      'charge',
    )
    charge({ ...first, outcome: first.outcome === 'approved' ? 'declined' : 'approved' })
    await counted({ lost: 0, doubled: 1 })
  })

  // Promise 140
  it('counter of npm start: payments are lost when they are not settled within 60 s, until they are', async () => {
    await settleAll()
    const url = sandbox.file.database_url
    await query(url, `insert into pauses (component, reason, paused_by) values ('worker', 'a test', 'ann@ops')`)
    await eventually(() => expect(sandbox.run.output()).to.contain('the workers are paused'))
    const settled = (await sandbox.state()).counter.accepted
    await sandbox.begin(PLAN)
    await eventually(
      async () => {
        const { counter } = await sandbox.state()
        expect(counter.accepted).to.be.above(settled)
        expect(counter).to.include({ settled, waiting: 0, lost: counter.accepted - settled })
      },
      { timeoutMs: 120_000 },
    )
    await query(url, `update pauses set resumed_at = now(), resumed_by = 'ann@ops'`)
    expect((await sandbox.settled()).counter).to.include(GOOD)
  })

  it('console of npm start shows the sandbox, and forwards what its operator does there', async () => {
    const { origin, hash } = new URL(sandbox.file.console_url)
    const post = async (path: string, body: object, cookie?: string) => {
      const sent = request(`${origin}${path}`, { method: 'POST', agent: false })
      const headers = { 'Sec-Fetch-Site': 'same-origin', 'Content-Type': 'application/json', ...(cookie && { cookie }) }
      for (const [name, value] of Object.entries(headers)) sent.setHeader(name, value)
      sent.end(JSON.stringify(body))
      const [answer] = await once(sent, 'response')
      return { status: answer.statusCode, cookies: answer.headers['set-cookie'], body: (await json(answer)) as object }
    }
    const { cookies } = await post('/api/login', { token: hash.replace('#token=', '') })
    const cookie = String(cookies?.[0]?.split(';')[0])
    const get = async (path: string) => (await fetch(`${origin}${path}`, { headers: { cookie } })).json()
    expect(await get('/api/me')).to.include({ sandbox: true, sandbox_panel: true })
    expect(await get('/api/sandbox')).to.have.all.keys(Object.keys(await sandbox.state()))
    const { status, body } = await post('/api/sandbox/faults', { kind: 'kill-worker' }, cookie)
    expect(status).to.equal(200)
    expect(body).to.have.nested.property('faults[0].kind', 'kill-worker')
    await sandbox.undone()
    const wrong = await post('/api/sandbox/faults', { kind: 'kill-worker', seconds: 5 }, cookie)
    expect([wrong.status, wrong.body]).to.deep.equal([
      422,
      { error: 'seconds is needed for a freeze, 1 to 60, and only there.' },
    ])
  })

  // The last one: it breaks the schema.
  // Promise 140
  it('counter of npm start: a reference is doubled when a build makes two payments of it', async () => {
    const { id } = await settleAll()
    const url = sandbox.file.database_url
    const indexes = await query<{ name: string }>(
      url,
      `select indexrelid::regclass::text as name from pg_index
       where indrelid = 'payments'::regclass and indisunique and not indisprimary`,
    )
    for (const { name } of indexes) await query(url, `drop index ${name}`)
    const columns = await query<{ name: string }>(
      url,
      `select attname as name from pg_attribute
       where attrelid = 'payments'::regclass and attnum > 0 and not attisdropped and attname <> 'id'`,
    )
    const names = columns.map(({ name }) => name).join(', ')
    await query(
      url,
      `insert into payments (id, ${names}) select gen_random_uuid(), ${names} from payments where id = $1`,
      { values: [id] },
    )
    await counted({ lost: 0, doubled: 1 })
  })
})
