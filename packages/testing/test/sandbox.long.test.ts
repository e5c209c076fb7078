import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import {
  answer,
  createTestDatabase,
  createTestVhost,
  eventually,
  query,
  REPOSITORY,
  startPipeline,
  startScriptedServer,
  startService,
  type TestDatabase,
  type TestVhost,
} from '../src/index.ts'

const HTTP = { PROVIDER: 'http', PROVIDER_URL: 'http://127.0.0.1:1/charges' }
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  migrate: ['db/src/migrate-main.ts'],
  dead: ['packages/cli/src/main.ts', 'dead', 'list'],
  merchants: ['packages/cli/src/main.ts', 'merchants', 'list'],
  keys: ['packages/cli/src/main.ts', 'keys', 'list'],
  settle: [
    'packages/cli/src/main.ts',
    'settle',
    '00000000-0000-7000-8000-000000000002',
    '--success',
    '--reason',
    'paid',
  ],
}

describe('sandbox or live', function () {
  this.timeout(180_000)
  let database: TestDatabase
  let vhost: TestVhost
  beforeEach(async () => {
    database = await createTestDatabase()
    vhost = await createTestVhost()
  })
  afterEach(async () => {
    await vhost.drop()
    await database.drop()
  })

  async function run(name: string, env: Record<string, string>, ...more: string[]) {
    const [program = '', ...args] = PROGRAMS[name] ?? []
    return promisify(execFile)(process.execPath, [join(REPOSITORY, program), ...args, ...more], {
      cwd: tmpdir(),
      env: { DATABASE_URL: database.url, ...env },
    }).then(
      (output) => ({ code: 0, ...output }),
      (failed: { code: number; stdout: string; stderr: string }) => failed,
    )
  }
  const service = (role: 'api' | 'relay' | 'worker', env: Record<string, string>) =>
    startService(role, { DATABASE_URL: database.url, RABBITMQ_URL: vhost.url, PORT: '0', ...HTTP, ...env })
  /** The servers, which outlive the pipeline that uses them. */
  const kept = () => ({
    database: { url: database.url, drop: async () => {} },
    vhost: { ...vhost, drop: async () => {} },
  })
  const flip = (mode: 'sandbox' | 'live') => query(database.url, `update deployment set mode = '${mode}'`)

  // Promise 75
  for (const role of ['api', 'relay', 'worker'] as const)
    it(`${role} does not start where its SANDBOX differs from the database's mode or the database has none, and names both`, async () => {
      const refused = async (SANDBOX: string) => {
        const process = service(role, { SANDBOX })
        expect(await process.exited).to.equal(1)
        expect(process.logs.map(({ message }) => message)).to.not.include('waiting for PostgreSQL')
        return process.logs.find(({ message }) => message === 'could not start')?.reason
      }
      expect(await refused('no'))
        .to.include('This process has SANDBOX=no')
        .and.include('the database is a sandbox (SANDBOX=yes)')
      await flip('live')
      expect(await refused('yes'))
        .to.include('This process has SANDBOX=yes')
        .and.include('the database is live (SANDBOX=no)')
      await query(database.url, 'delete from deployment')
      expect(await refused('yes')).to.include('Run "npm run migrate"')
    })

  // Promise 75
  for (const program of Object.keys(PROGRAMS))
    it(`the command ${program} refuses a database of another mode, and names both`, async () => {
      const refused = async (env: Record<string, string>) => {
        const { code, stdout, stderr } = await run(program, env)
        expect(code).to.equal(program === 'migrate' ? 1 : 3)
        const text = `${stdout}${stderr}`
        expect(text.trim().split('\n')).to.have.length(1)
        return text
      }
      expect(await refused({ SANDBOX: 'no' }))
        .to.include('has SANDBOX=no')
        .and.include('a sandbox (SANDBOX=yes)')
      expect(await refused({ APP_ENV: 'production' })).to.include('has SANDBOX=no')
      await flip('live')
      expect(await refused({}))
        .to.include('has SANDBOX=yes')
        .and.include('is live (SANDBOX=no)')
    })

  // Promise 54
  it('a worker with PROVIDER=http in a sandbox charges no payment that asks for a simulated outcome, whichever PROVIDER the api has', async () => {
    const provider = await startScriptedServer()
    provider.script = answer(200, { status: 'approved' })
    const pipeline = await startPipeline({ api: 1, relay: 1, worker: 0 }, {}, kept())
    await pipeline.start('worker', { PROVIDER: 'http', PROVIDER_URL: provider.url })
    const url = String((await pipeline.processes.api[0]?.logged('listening'))?.url)
    const answered = await fetch(`${url}/payments`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ amount: 1, currency: 'USD', reference: 'REF-1', metadata: { simulate: 'decline' } }),
    })
    expect(answered.status).to.equal(201)
    const { id } = await pipeline.post('REF-2')
    await eventually(async () => {
      const rows = await query(database.url, 'select status, attempts > 0 as tried from payments order by reference')
      expect(rows).to.deep.equal([
        { status: 'PENDING', tried: true },
        { status: 'SUCCESS', tried: false },
      ])
    })
    expect(provider.seen.map(({ method, headers }) => [method, headers['idempotency-key']])).to.deep.equal([
      ['POST', id],
    ])
    await pipeline.stop()
    await provider.close()
  })

  it('a database changes from sandbox to live when its services are stopped and its payments settled', async () => {
    const pipeline = await startPipeline({ api: 1, relay: 1, worker: 1 }, {}, kept())
    const { status } = await pipeline.post('REF-1')
    expect(status).to.equal(201)
    const change = () => run('migrate', {}, '--mode', 'live')
    const { code, stdout } = await change()
    expect(code).to.equal(1)
    for (const role of ['api', 'relay', 'worker']) expect(stdout).to.include(`cashflow-${role}`)
    await eventually(async () =>
      expect(await query(database.url, `select from payments where status = 'PENDING'`)).to.have.length(0),
    )
    await pipeline.stop()
    expect((await change()).code).to.equal(0)
    expect((await run('dead', { SANDBOX: 'no' })).code).to.equal(0)
    const roles = (['api', 'relay', 'worker'] as const).map((role) => service(role, { SANDBOX: 'no' }))
    await Promise.all(roles.map((process) => process.logged('ready')))
    expect(await Promise.all(roles.map((process) => process.stop()))).to.deep.equal([0, 0, 0])
  })

  it('migrate chooses sandbox for a new database, and live with APP_ENV=production', async () => {
    for (const [env, mode] of [
      [{}, 'sandbox'],
      [{ APP_ENV: 'production' }, 'live'],
      [{ APP_ENV: 'production', SANDBOX: 'yes' }, 'sandbox'],
    ] as const) {
      await query(database.url, 'drop schema public cascade; create schema public')
      expect((await run('migrate', env)).code).to.equal(0)
      expect(await query(database.url, 'select mode from deployment')).to.deep.equal([{ mode }])
    }
  })
})
