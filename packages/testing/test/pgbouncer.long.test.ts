import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { expect } from 'chai'
import {
  createTestDatabase,
  createTestVhost,
  eventually,
  type Pgbouncer,
  REPOSITORY,
  type ServiceProcess,
  startPgbouncer,
  startPipeline,
  startService,
  type TestDatabase,
  type TestVhost,
} from '../src/index.ts'

const PATIENTLY = { timeoutMs: 90_000 }

describe('services behind PgBouncer', () => {
  let database: TestDatabase
  let vhost: TestVhost
  let pgbouncer: Pgbouncer
  beforeEach(async () => {
    database = await createTestDatabase()
    vhost = await createTestVhost()
  })
  afterEach(async () => {
    await pgbouncer.stop()
    await vhost.drop()
    await database.drop()
  })

  // Promise 58
  it('settle payments through PgBouncer in session mode', async () => {
    pgbouncer = await startPgbouncer(database.url, { poolMode: 'session', settings: { default_pool_size: '60' } })
    const kept = { url: database.url, drop: async () => {} }
    const pipeline = await startPipeline(
      { api: 1, relay: 1, worker: 1 },
      { DATABASE_URL: pgbouncer.url },
      { database: kept, vhost: { ...vhost, drop: async () => {} } },
    )
    const references = Array.from({ length: 100 }, (_, index) => `pooled ${index}`)
    const answers = await Promise.all(references.map((reference) => pipeline.post(reference)))
    expect(new Set(answers.map(({ status }) => status))).to.deep.equal(new Set([201]))
    await eventually(async () => {
      const { rows } = await pipeline.db.query(
        "select count(*)::int as settled from payments where status <> 'PENDING'",
      )
      expect(rows).to.deep.equal([{ settled: 100 }])
    }, PATIENTLY)
    await pipeline.stop()
  }).timeout(300_000)

  // Promise 58
  for (const role of ['api', 'relay', 'worker'] as const)
    it(`${role}: refuses to start through PgBouncer in transaction mode, with one line that names the remedy`, async () => {
      pgbouncer = await startPgbouncer(database.url, { poolMode: 'transaction' })
      const service: ServiceProcess = startService(role, {
        DATABASE_URL: pgbouncer.url,
        RABBITMQ_URL: vhost.url,
        PORT: '0',
      })
      expect(await service.exited).to.equal(1)
      // The worker logs a warning at each start, because its provider is simulated.
      const [refused, ...more] = service.logs.filter(
        ({ level, message }) => level === 'error' || (level === 'warn' && !message.startsWith('the provider')),
      )
      expect(refused).to.include({
        level: 'error',
        message: 'could not start',
        component: 'database',
        code: 'database_setting',
      })
      expect(refused?.reason).to.include('pool_mode = session')
      expect(more.filter(({ message }) => message.includes('database'))).to.deep.equal([])
      expect(service.output).to.deep.equal([])
    }).timeout(300_000)

  for (const [program, args, exitCode] of [
    ['db/src/migrate-main.ts', [], 1],
    ['packages/cli/src/main.ts', ['dead', 'list'], 3],
  ] as const)
    it(`${program} refuses to work through PgBouncer in transaction mode, and names the remedy`, async () => {
      pgbouncer = await startPgbouncer(database.url, { poolMode: 'transaction' })
      const { code, output } = await run(program, args, pgbouncer.url)
      expect(code).to.equal(exitCode)
      expect(output).to.include('pool_mode = session')
    }).timeout(300_000)
})

function run(program: string, args: readonly string[], url: string): Promise<{ code: unknown; output: string }> {
  const file = join(REPOSITORY, program)
  const env = { DATABASE_URL: url, APP_ENV: 'production', SANDBOX: 'yes' }
  return new Promise((resolve) =>
    execFile(process.execPath, [file, ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, output: stdout + stderr }),
    ),
  )
}
