import { join } from 'node:path'
import { eventually } from '@cashflow/async'
import { expect } from 'chai'
import { descendantsOf, identify, isStopped, type ProcessIdentity } from '../../src/processes/process-table.ts'
import { openClient } from '../../src/servers/postgres-client.ts'
import { readStackFile } from '../../src/stack/state-folder.ts'
import { type SandboxRun, startSandboxRun } from '../support/sandbox-run.ts'

const PLAN = { rate: 20, simulate: null, seconds: 600 }

describe('faults of npm start', function () {
  this.timeout(300_000)
  let sandbox: SandboxRun
  before(async () => {
    sandbox = await startSandboxRun()
  })
  after(() => sandbox.stop())

  const processes = () => readStackFile(join(sandbox.folder, 'stack.json'))?.processes
  function treeOf(pid: number | undefined): ProcessIdentity[] {
    const root = identify(Number(pid))
    return root ? [root, ...descendantsOf(root.pid)] : []
  }

  it('correct build loses and doubles no payment while a worker is killed and RabbitMQ is frozen', async () => {
    await sandbox.begin(PLAN)
    await eventually(async () => expect((await sandbox.state()).counter.settled).to.be.above(20))
    const killed = processes()?.worker
    await sandbox.breakPart('kill-worker')
    const { faults } = await sandbox.breakPart('freeze-rabbitmq', 5)
    expect(faults.map(({ kind }) => kind)).to.have.members(['kill-worker', 'freeze-rabbitmq'])
    await sandbox.undone()
    expect(processes()?.worker).to.have.length(1).and.not.to.deep.equal(killed)
    await sandbox.ask('DELETE /payments')
    const { counter } = await sandbox.settled(120_000)
    expect(counter).to.include({ lost: 0, doubled: 0, waiting: 0, refused: 0, unanswered: 0, unreadable: 0 })
  })

  for (const part of ['worker', 'relay', 'rabbitmq', 'postgresql'] as const)
    it(`sandbox kills ${part}, and counts the fault as over when it runs again`, async () => {
      const name = part === 'postgresql' ? 'postgres' : part
      const running = () => [processes()?.[name]].flat()
      const before = running()
      const { faults } = await sandbox.breakPart(`kill-${part}`)
      expect(faults.map(({ kind, ends_at }) => [kind, ends_at])).to.deep.equal([[`kill-${part}`, null]])
      expect((await sandbox.ask('POST /faults', { kind: `freeze-${part}`, seconds: 5 })).status).to.equal(409)
      await sandbox.undone()
      expect(running()).to.have.length(before.length)
      expect(running().filter((pid) => !before.includes(pid))).to.have.length(1)
    })

  // Promise 140
  it('freeze of PostgreSQL reaches all its processes, and ends by itself', async () => {
    const client = await openClient(sandbox.file.database_url)
    await sandbox.breakPart('freeze-postgresql', 15)
    const tree = treeOf(processes()?.postgres)
    expect(tree).to.have.length.above(6)
    let answered = false
    const answer = client.query('select 1').then(() => {
      answered = true
    })
    await eventually(async () => expect((await sandbox.state()).counter.stale).to.be.a('string'))
    expect([answered, tree.filter(isStopped)]).to.deep.equal([false, tree])
    await answer
    await sandbox.undone()
    expect(tree.filter(isStopped)).to.deep.equal([])
    await eventually(async () => expect((await sandbox.state()).counter.stale).to.equal(null))
    await client.end()
  })

  it('freeze of a worker and of a relay ends by itself', async () => {
    for (const part of ['worker', 'relay'] as const) {
      await sandbox.breakPart(`freeze-${part}`, 2)
      const tree = treeOf(processes()?.[part][0])
      expect(tree.filter(isStopped), part).to.have.length(1)
      await sandbox.undone()
      expect(tree.filter(isStopped), part).to.deep.equal([])
    }
  })

  it('stop of the stack undoes a freeze first', async () => {
    await sandbox.breakPart('freeze-postgresql', 60)
    const tree = treeOf(processes()?.postgres)
    sandbox.run.kill('SIGTERM')
    expect(await sandbox.run.exited).to.equal(0)
    expect(tree.flatMap(({ pid }) => identify(pid) ?? [])).to.deep.equal([])
    expect(sandbox.run.output()).to.contain('sandbox: freeze-postgresql has ended')
  })

  // Promise 140
  it('freeze of PostgreSQL ends by itself also when npm start is killed', async () => {
    await sandbox.stop()
    sandbox = await startSandboxRun()
    await sandbox.breakPart('freeze-postgresql', 4)
    const tree = treeOf(processes()?.postgres)
    sandbox.run.kill('SIGKILL')
    await sandbox.run.exited
    expect(tree.filter(isStopped)).to.have.length.above(6)
    await eventually(() => expect(tree.filter(isStopped)).to.deep.equal([]))
    expect(tree.slice(0, 1).map(({ pid }) => identify(pid))).to.deep.equal(tree.slice(0, 1))
  })
})
