import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { defined, eventually } from '@cashflow/async'
import { expect } from 'chai'
import { type Pipeline, startPipeline } from '../src/pipeline.ts'
import { REPOSITORY } from '../src/repository.ts'
import { createTestDatabase, type TestDatabase } from '../src/test-database.ts'

const execute = promisify(execFile)

describe('cancel of a payment that a worker may have charged', function () {
  this.timeout(60_000)
  let database: TestDatabase
  let pipeline: Pipeline
  let url: string
  before(async () => {
    database = await createTestDatabase()
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 1 }, {}, { database })
    const { url: base } = await defined(pipeline.processes.api[0], 'api').logged('listening')
    url = `${base}/api/v1`
  })
  after(() => pipeline.stop())

  const json = async (response: Response) => (await response.json()) as Record<string, string>
  async function create(simulate: string): Promise<string> {
    const response = await fetch(`${url}/payments`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ amount: 1, currency: 'USD', reference: crypto.randomUUID(), metadata: { simulate } }),
    })
    return defined((await json(response)).id, 'id')
  }
  const get = async (id: string) => await json(await fetch(`${url}/payments/${id}`))
  const cashflow = (...args: string[]) =>
    execute(process.execPath, [join(REPOSITORY, 'packages/cli/src/main.ts'), ...args], {
      cwd: tmpdir(),
      env: { ...process.env, DATABASE_URL: database.url },
    })

  async function expectRefused(id: string): Promise<void> {
    const response = await fetch(`${url}/payments/${id}/cancel`, { method: 'POST' })
    expect([response.status, (await json(response)).code]).to.deep.equal([409, 'not-cancelable'])
    expect(await get(id)).to.include({ status: 'PENDING' })
  }

  // Promise 91
  it('system: cancel is refused for a payment that was parked after ten attempts, also after its requeue', async () => {
    const id = await create('timeout')
    await eventually(
      async () => {
        const { waiting_for } = await get(id)
        if (waiting_for === 'retry') await fetch(`${url}/test/payments/${id}/advance`, { method: 'POST' })
        expect(waiting_for).to.equal('operator')
      },
      { timeoutMs: 50_000 },
    )
    await expectRefused(id)
    await defined(pipeline.processes.worker[0], 'worker').stop()
    const letter = JSON.parse((await cashflow('dead', 'list', '--json')).stdout) as { id: string }
    await cashflow('dead', 'requeue', letter.id)
    await expectRefused(id)
  })

  // Promise 91
  it('system: cancel is refused for a payment whose worker was killed within the charge', async () => {
    const worker = await pipeline.start('worker')
    const id = await create('worker_crash')
    await worker.exited
    await expectRefused(id)
  })
})
