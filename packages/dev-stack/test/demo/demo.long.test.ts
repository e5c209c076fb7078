import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { eventually, pause } from '@cashflow/async'
import { expect } from 'chai'
import { isRunning, type ProcessIdentity } from '../../src/processes/process-table.ts'
import { query } from '../../src/servers/postgres-client.ts'
import { postgresHome } from '../../src/servers/postgres-home.ts'
import { readStackFile } from '../../src/stack/state-folder.ts'
import { processesOf, runDemo, type StackRun } from '../support/stack-run.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

interface StoredPayment {
  id: string
  status: string
  attempts: number
  events: number
}

describe('npm run demo', function () {
  this.timeout(180_000)
  const folder = temporaryFolder()
  let run: StackRun | undefined
  afterEach(async () => {
    run?.kill('SIGTERM')
    await run?.exited
  })
  after(() => folder.remove())

  /** @param processesMin how many processes were seen at least */
  function expectNothingLeft(processes: readonly ProcessIdentity[], processesMin = 6): void {
    expect(processes).to.have.length.at.least(processesMin)
    expect(processes.filter(isRunning)).to.deep.equal([])
    expect(existsSync(folder.path)).to.equal(false)
    expect(existsSync(postgresHome(folder.path).files)).to.equal(false)
  }

  const stored = (url: string) =>
    query<StoredPayment>(
      url,
      `select id, status, attempts, (select count(*)::int from payment_events where payment_id = payments.id) as events
       from payments`,
    )

  it('settles twenty payments, has those of a killed worker taken over, and leaves nothing behind', async () => {
    run = runDemo(folder.path)
    const file = await run.ready()
    // The database is gone at the end, so its rows are read as long as it answers.
    let payments: StoredPayment[] = []
    let ended = false
    const exited = run.exited.finally(() => {
      ended = true
    })
    const processes: ProcessIdentity[] = []
    while (!ended) {
      payments = await stored(file.database_url).catch(() => payments)
      processes.push(...processesOf(readStackFile(join(folder.path, 'stack.json')) ?? file))
      await pause(100)
    }
    expect(await exited, run.output()).to.equal(0)
    expect(run.output()).to.include('All 20 are SUCCESS, ')
    const numberBefore = (text: string) =>
      Number(new RegExp(`(\\d+) ${text.replaceAll(' ', '\\s+')}`).exec(run?.output() ?? '')?.[1])
    expect(payments).to.have.length(numberBefore('payments were answered with 201'))
    expect(new Set(payments.map(({ status, events }) => `${status} ${events}`))).to.deep.equal(new Set(['SUCCESS 2']))
    expect(payments.filter(({ attempts }) => attempts > 0)).to.have.length(numberBefore('payments of the dead worker'))
    expectNothingLeft(processes)
  })

  it('leaves nothing behind when Ctrl-C ends it', async () => {
    run = runDemo(folder.path)
    const processes = processesOf(await run.ready())
    run.kill('SIGINT')
    expect(await run.exited, run.output()).to.equal(130)
    expect(run.output()).to.include('stopped before its end')
    expectNothingLeft(processes)
  })

  it('exits with 1 and leaves nothing behind when a payment is not SUCCESS', async () => {
    run = runDemo(folder.path)
    const file = await run.ready()
    const processes = processesOf(file)
    await eventually(async () => {
      const failed = await query(
        file.database_url,
        `update payments set status = 'FAILED', settled_at = now() where status = 'PENDING' returning id`,
      )
      expect(failed).to.not.deep.equal([])
    })
    expect(await run.exited, run.output()).to.equal(1)
    expect(run.output()).to.match(/payment DEMO-\d+ is FAILED/)
    expectNothingLeft(processes)
  })

  it('exits with 1 and leaves nothing behind when the start takes too long', async () => {
    run = runDemo(folder.path, 1_500)
    expect(await run.exited, run.output()).to.equal(1)
    expect(run.output()).to.include('the start took longer than 1500 ms')
    expectNothingLeft([], 0)
  })

  it('stops what a killed demo left behind', async () => {
    run = runDemo(folder.path)
    const processes = processesOf(await run.ready())
    run.kill('SIGKILL')
    await run.exited
    run = runDemo(folder.path)
    const others = processesOf(await run.ready())
    expect(processes.filter(isRunning)).to.deep.equal([])
    run.kill('SIGINT')
    expect(await run.exited).to.equal(130)
    expectNothingLeft([...processes, ...others])
  })
})
