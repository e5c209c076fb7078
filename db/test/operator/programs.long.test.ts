import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { buryMessage } from '@cashflow/outbox'
import { REPOSITORY } from '@cashflow/testing'
import { expect } from 'chai'
import { createTestStore, newPayment, type TestStore } from '../test-store.ts'

interface Ended {
  code: number
  stdout: string
  stderr: string
}

describe("the operator's programs", function () {
  // Each of them is a process that has to start.
  this.timeout(180_000)
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  const run = (program: 'dead' | 'settle', args: string[], url = store.database.url): Promise<Ended> =>
    promisify(execFile)(process.execPath, [join(REPOSITORY, `db/src/operator/${program}.ts`), ...args], {
      env: { DATABASE_URL: url, APP_ENV: 'production' },
    }).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error: Ended) => error,
    )

  it('list, requeue and discard dead letters', async () => {
    await store.db.transaction().execute(async (tx) => {
      const letter = { messageId: newPayment().payment.id, topic: 't', source: 'outbox', reason: 'r', attempts: 20 }
      await buryMessage(tx, { ...letter, key: 'a', payload: 'first' })
      await buryMessage(tx, { ...letter, key: 'b', payload: '\u001b[31mred' })
    })
    const list = async () => (await run('dead', ['list'])).stdout.trim().split('\n').filter(Boolean)
    const lines = await list()
    expect(lines.join()).to.not.include('\u001b')
    const [first, second] = lines.map((line) => JSON.parse(line))
    expect(first).to.include({ source: 'outbox', topic: 't', key: 'a', payload: 'first', attempts: 20, reason: 'r' })
    expect(first.died_at).to.match(/^\d{4}-\d\d-\d\dT/)
    expect((await run('dead', ['requeue', first.id])).code).to.equal(0)
    expect((await run('dead', ['discard', second.id, '--reason', 'ours'])).code).to.equal(0)
    expect(await list()).to.deep.equal([])
  })

  it('end quietly when the reader of a list has had enough, and with 1 when a list cannot be written', async () => {
    await store.db.transaction().execute(async (tx) => {
      for (let key = 0; key < 100; key++) {
        const letter = {
          messageId: newPayment().payment.id,
          topic: 'head',
          source: 'outbox',
          reason: 'r'.repeat(2_000),
        }
        await buryMessage(tx, { ...letter, attempts: 20, key: String(key), payload: 'p' })
      }
    })
    const list = [process.execPath, join(REPOSITORY, 'db/src/operator/dead.ts')]
    const shell = (script: string) =>
      promisify(execFile)('bash', ['--norc', '-c', script, ...list], {
        env: { PATH: process.env.PATH, DATABASE_URL: store.database.url, APP_ENV: 'production' },
      })
    const piped = await shell('"$0" "$1" list | head -1; echo "$PIPESTATUS"')
    expect(piped.stdout.split('\n').slice(1)).to.deep.equal(['0', ''])
    expect(piped.stderr).to.equal('')
    const helped = await shell('"$0" "$1" --help | true; echo "$PIPESTATUS"')
    expect([helped.stdout, helped.stderr]).to.deep.equal(['0\n', ''])
    const full = await shell('"$0" "$1" list > /dev/full; echo "$?"')
    expect([full.stdout, full.stderr]).to.deep.equal(['1\n', 'ENOSPC: no space left on device, write\n'])
    await store.db.deleteFrom('dead_letters').where('topic', '=', 'head').execute()
  })

  it('migrate although the log cannot be written, and say so on standard error', async () => {
    const migrate = [process.execPath, join(REPOSITORY, 'db/src/migrate-main.ts')]
    const { stdout, stderr } = await promisify(execFile)(
      'bash',
      ['--norc', '-c', '"$0" "$1" > /dev/full; echo "$?"', ...migrate],
      { env: { PATH: process.env.PATH, DATABASE_URL: store.database.url, APP_ENV: 'production' } },
    )
    expect(stdout).to.equal('0\n')
    expect(stderr).to.match(/^migrate: the log cannot be written: ENOSPC: [^\n]*; going on\n$/)
  })

  it('settle a payment', async () => {
    const { id } = await store.insert()
    const settled = await run('settle', [id, '--failed', '--reason', 'the bank says so', '--failure-code', 'fraud'])
    expect(settled.code, settled.stderr).to.equal(0)
    const again = await run('settle', [id, '--success', '--reason', 'no'])
    expect([again.code, again.stderr]).to.deep.equal([1, 'The payment is FAILED already.\n'])
  })

  it('say how they are used when they are asked', async () => {
    for (const program of ['dead', 'settle'] as const) {
      const { code, stdout } = await run(program, ['--help'], 'postgres://u:p@127.0.0.1:1/nowhere')
      expect(code).to.equal(0)
      expect(stdout).to.include(`npm run ${program} -- `).and.to.include(`docker compose run --rm migrate ${program} `)
    }
  })

  it('explain themselves, with exit code 2', async () => {
    for (const [program, args] of [
      ['dead', ['bury']],
      ['settle', ['--failure']],
    ] as const) {
      const { code, stderr } = await run(program, [...args], 'postgres://u:p@127.0.0.1:1/nowhere')
      expect(code).to.equal(2)
      expect(stderr).to.include(`npm run ${program} -- `).and.to.not.include('    at ')
    }
  })

  it('say that the database is away, with exit code 1', async () => {
    const { code, stderr } = await run('dead', ['list'], 'postgres://u:hunter2@127.0.0.1:1/nowhere')
    expect(code).to.equal(1)
    expect(stderr).to.equal(
      'PostgreSQL cannot be reached: connect ECONNREFUSED 127.0.0.1:1. Look at DATABASE_URL, or DB_HOST and DB_PORT.\n',
    )
  })

  it('name the settings where PostgreSQL refuses the login, with exit code 1', async () => {
    const url = new URL(store.database.url)
    url.password = 'hunter2'
    const { code, stderr } = await run('dead', ['list'], url.href)
    expect(code).to.equal(1)
    expect(stderr)
      .to.match(/^PostgreSQL refuses this: password .*\. Look at DATABASE_URL, or DB_USER and DB_PASSWORD\.\n$/)
      .and.to.not.include('hunter2')
  })
})
