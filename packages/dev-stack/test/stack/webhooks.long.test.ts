import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '@cashflow/async'
import { expect } from 'chai'
import { runStack, type StackRun } from '../support/stack-run.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

/** Servers that do not exist: the fake services do not connect. */
const SERVERS = {
  RABBITMQ_URL: 'amqp://guest:secret@broker.example/',
  DATABASE_URL: 'postgres://user:secret@database.example/payments',
}
const SETTINGS = / (\w+)(?: \d)? +info +settings .*SECRETS_KEY=(\S+) WEBHOOK_ALLOW_PRIVATE=yes/g

describe('webhooks of npm start', function () {
  this.timeout(60_000)
  const folder = temporaryFolder()
  let run: StackRun | undefined
  afterEach(stop)
  after(() => folder.remove())

  async function start(env: Record<string, string> = {}) {
    run = runStack(folder.path, { postgres: 0, rabbitmq: 0, management: 0 }, { ...SERVERS, PORT: '0', ...env })
    return { run, file: await run.ready() }
  }

  async function stop(): Promise<void> {
    run?.kill('SIGTERM')
    await run?.exited
  }

  it('npm start gives the APIs and the webhooks process one key that it keeps, and no other process has it', async () => {
    for (const attempt of ['first', 'second']) {
      const { run, file } = await start()
      const key = readFileSync(join(folder.path, 'secrets_key'), 'utf8').trim()
      const expected = ['api', 'api', 'webhooks'].map((service) => ({ service, key }))
      await eventually(
        () => {
          const found = [...run.output().matchAll(SETTINGS)].map(([, service, key]) => ({ service, key }))
          expect(found, attempt).to.have.deep.members(expected)
        },
        { timeoutMs: 30_000 },
      )
      expect(file.processes.webhooks).to.have.length(1)
      await stop()
    }
  })

  it('npm start starts no webhooks process where money moves and no SECRETS_KEY is set', async () => {
    const { run, file } = await start({ SANDBOX: 'no' })
    expect(file.processes.webhooks).to.deep.equal([])
    expect(run.output())
      .to.contain('no SECRETS_KEY is set, and none is made with SANDBOX=no: webhooks are off')
      .and.not.match(/WEBHOOK_ALLOW_PRIVATE|SECRETS_KEY=/)
  })
})
