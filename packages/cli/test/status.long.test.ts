import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { eventually } from '@cashflow/async'
import { createDatabase, insertPayments, type Tables } from '@cashflow/db'
import { buryMessage } from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'
import {
  aPayment,
  createTestDatabase,
  nullLogger,
  query,
  startPipeline,
  startTcpProxy,
  type TestDatabase,
} from '@cashflow/testing'
import { expect } from 'chai'
import type { Kysely } from 'kysely'
import { MAIN, runCashflow } from './run-cashflow.ts'

describe('cashflow status', function () {
  this.timeout(180_000)
  let database: TestDatabase
  let db: Kysely<Tables>

  before(async () => {
    database = await createTestDatabase()
    db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 2, logger: nullLogger })
  })
  after(async () => {
    await db.destroy()
    await database.drop()
  })

  const env = () => ({ DATABASE_URL: database.url })

  it('status: shows rates, queues and processes of a system that works, and exits with 0', async () => {
    const pipeline = await startPipeline({ api: 1, relay: 1, worker: 1 }, {}, { database: await createTestDatabase() })
    const [{ name } = { name: '' }] = (await pipeline.db.query('select current_database() as name')).rows
    const DATABASE_URL = database.url.replace(database.name, name)
    await eventually(async () => {
      const { rows } = await pipeline.db.query('select 1 from instances where queue_depths is not null')
      expect(rows).to.have.length(1)
    })
    let isOver = false
    const posting = (async () => {
      for (let reference = 0; !isOver; reference++) await pipeline.post(`status-${reference}`)
    })()
    const { code, stdout, stderr } = await runCashflow(['status', '--json'], { DATABASE_URL })
    isOver = true
    await posting
    const status = JSON.parse(stdout)
    expect([code, status.over], stderr).to.deep.equal([0, []])
    expect(status.rates_per_second.published).to.be.above(0)
    expect(status.rates_per_second.settled).to.be.above(0)
    expect(status.queues).to.have.all.keys('payments')
    expect(
      status.instances.map(({ role, gone }: { role: string; gone: boolean }) => [role, gone]),
    ).to.have.deep.members(['api', 'relay', 'worker'].map((role) => [role, false]))
    const shown = await runCashflow(['status'], { DATABASE_URL })
    expect(shown.code, shown.stderr).to.equal(0)
    for (const line of [
      /^ +settled +[\d.]+ a second$/m,
      /^ +pending +\d+$/m,
      /^ +payments +\d+ ready, without those that workers hold$/m,
      /^ +worker +\S+:\d+, version /m,
    ])
      expect(shown.stdout).to.match(line)
    await pipeline.stop()
  })

  it('status: marks in words what is over a threshold, and exits with 1', async () => {
    const { payment, event } = aPayment()
    await db.transaction().execute(async (tx) => {
      await insertPayments(tx, [{ payment, event, requestId: 'r', messages: [] }], { redriveAfterMs: 60_000 })
      const letter = { messageId: uuidv7(), topic: 't', source: 'outbox', reason: 'r', attempts: 20 }
      await buryMessage(tx, { ...letter, key: 'a', payload: 'p' })
    })
    for (const statement of [
      'update payments set parked_at = now(), redrive_at = null',
      `insert into outbox_messages (lane, message_id, key, topic, payload, headers, created_at)
        values (3, gen_random_uuid(), 'k', 'payment.created', '{}', '{}', now() - interval '31 seconds')`,
      `insert into pauses (component, reason, paused_by, paused_at) values ('worker', E'\\u001b[31mred', 'Ada', now() - interval '2 hours')`,
      `insert into instances (id, role, instance, version, started_at, seen_at, counters)
        values (gen_random_uuid(), 'api', 'host:1', '1', now() - interval '1 day', now() - interval '11 seconds', '{}'),
          (gen_random_uuid(), 'worker', 'vm:2', '1', now() - interval '1 day', now() - interval '1 minute', '{}'),
          (gen_random_uuid(), 'worker', 'vm:3', '1', now() - interval '50 seconds', now() + interval '1 hour', '{}')`,
    ])
      await query(database.url, statement)
    const { code, stdout, stderr } = await runCashflow(['status'], env())
    expect(code).to.equal(1)
    for (const line of [
      /^ +parked +1 {2}! OVER 0/m,
      /^ +payment\.created +1 messages, the oldest .* {2}! OVER 30s/m,
      /^ +outbox +1 {2}! OVER 0/m,
      /^ +worker +for 2h, without an end, by Ada: \\u001b\[31mred {2}! OVER 1h/m,
      /^ +api +host:1, .* {2}! GONE or frozen\. If it still runs on host, it is frozen: kill -9 1\./m,
      /^ +api +none {2}! GONE: no api runs/m,
      /^ +relay +none {2}! GONE: no relay runs/m,
      /^ +worker +vm:2 was not seen for 1m.*, and was replaced; this line ends at \d\d:\d\d UTC$/m,
    ])
      expect(stdout).to.match(line)
    const marked = stdout.match(/! (OVER|GONE)/g) ?? []
    expect(stderr).to.equal(`${marked.length} marked with "!".\n`)
    const json = await runCashflow(['status', '--json'], env())
    const { over, instances } = JSON.parse(json.stdout)
    expect([json.code, over.length]).to.deep.equal([1, marked.length])
    const replaced = instances.filter((instance: { replaced: boolean }) => instance.replaced)
    expect(replaced.map(({ instance }: { instance: string }) => instance)).to.deep.equal(['vm:2'])
  })

  it('status: leaves out a part that PostgreSQL cannot read, and says so', async () => {
    await query(database.url, 'alter table dead_letters rename to away')
    const { code, stdout } = await runCashflow(['status'], env())
    await query(database.url, 'alter table away rename to dead_letters')
    expect(code).to.equal(1)
    expect(stdout)
      .to.match(/^ +dead_letters +relation "dead_letters" does not exist/m)
      .and.to.match(/^ +pending +1$/m)
  })

  it('status --watch: goes on while PostgreSQL is away, says so, and ends with 0 at Ctrl-C', async () => {
    const proxy = await startTcpProxy(database.url)
    const watching = spawn(process.execPath, [MAIN, 'status', '--watch'], {
      env: { APP_ENV: 'production', SANDBOX: 'yes', DATABASE_URL: proxy.url },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    watching.stdout.setEncoding('utf8').on('data', (text) => {
      output += text
    })
    const printed = (text: string) => eventually(async () => expect(output).to.include(text), { timeoutMs: 60_000 })
    await printed('oldest snapshot')
    await printed('settled') // Rates need a second look.
    proxy.cut()
    await printed('PostgreSQL cannot be reached: ')
    output = ''
    proxy.restore()
    await printed('oldest snapshot')
    watching.kill('SIGINT')
    const [code] = await once(watching, 'exit')
    expect(code).to.equal(0)
    await proxy.stop()
  })
})
