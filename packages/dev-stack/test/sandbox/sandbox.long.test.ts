import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '@cashflow/async'
import { expect } from 'chai'
import { freePorts } from '../../src/ports.ts'
import { removePostgresData } from '../../src/servers/postgres.ts'
import { query } from '../../src/servers/postgres-client.ts'
import type { StackFile } from '../../src/stack/state-folder.ts'
import { askSandbox, type SandboxAnswer } from '../support/ask-sandbox.ts'
import { runCashflow, type StackRun } from '../support/stack-run.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const RUN = { rate: 40, amount_min: '1', amount_max: '250.50', currency: 'USD', simulate: null, seconds: 3 }

describe('sandbox of npm start', function () {
  this.timeout(300_000)
  const folder = temporaryFolder()
  const socket = join(folder.path, 'sandbox.sock')
  let run: StackRun
  let file: StackFile
  const ask = (call?: string, body?: unknown) => askSandbox(socket, call, body)
  const state = async () => (await ask()).body

  before(async () => {
    const [postgres, rabbitmq, management] = await freePorts(4)
    run = runCashflow(folder.path, { postgres, rabbitmq, management }, { PORT: '0', PROVIDER_DELAY_MS: '50' })
    file = await run.ready()
  })
  after(async () => {
    run.kill('SIGTERM')
    await run.exited
    removePostgresData(folder.path)
    folder.remove()
  })

  /** Makes the payments of a new count, and waits until all of them are settled. */
  async function settleAll(plan: object = RUN): Promise<SandboxAnswer['body']> {
    expect((await ask('DELETE /counter')).body.counter).to.include({ accepted: 0, settled: 0 })
    const started = await ask('POST /payments', plan)
    expect(started.status, started.body.error).to.equal(200)
    await eventually(async () => expect((await state()).run).to.equal(null))
    return eventually(async () => {
      const { counter } = (await ask()).body
      expect(counter.accepted).to.be.above(0)
      expect(counter.settled, run.output()).to.equal(counter.accepted)
      return state()
    })
  }

  it('sandbox counts every payment of a run as accepted and settled, and none as lost or doubled', async () => {
    expect(await state()).to.deep.include({ obstacle: null, run: null, faults: [], charges_known: true })
    const { counter } = await settleAll()
    expect(counter).to.include({
      lost: 0,
      doubled: 0,
      waiting: 0,
      refused: 0,
      unanswered: 0,
      stale: null,
      unreadable: 0,
    })
    expect(counter.accepted).to.be.within(100, 120)
    const lines = readFileSync(join(folder.path, 'sandbox/answers.jsonl'), 'utf8').trim().split('\n')
    expect(lines).to.have.length(counter.accepted)
    const [{ count }] = (await query(
      file.database_url,
      `select count(*)::int from payments where reference like 'sandbox-%'`,
    )) as [{ count: number }]
    expect(count).to.equal(counter.accepted)
  })

  it('sandbox is open to its user only', () => {
    const modeOf = (path: string) => statSync(join(folder.path, path)).mode & 0o777
    expect(modeOf('.')).to.equal(0o700)
    expect(modeOf('sandbox.sock')).to.equal(0o600)
    expect(modeOf('sandbox/charges.jsonl')).to.equal(0o600)
  })
})
