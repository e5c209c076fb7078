import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { defined, eventually } from '@cashflow/async'
import { expect } from 'chai'
import {
  descendantsOf,
  identify,
  isStopped,
  killTree,
  type ProcessIdentity,
} from '../../src/processes/process-table.ts'
import { startFreeze } from '../../src/sandbox/freeze.ts'

describe('freeze of a process', function () {
  this.timeout(60_000)
  const script = (name: string) => join(import.meta.dirname, '../support', name)
  const children: ChildProcess[] = []
  let tree: ProcessIdentity[]
  let root: ProcessIdentity

  function start(name: string, ...args: string[]): ChildProcess {
    const child = spawn(process.execPath, [script(name), ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    children.push(child)
    return child
  }
  const line = ({ stdout }: ChildProcess) => stdout && once(stdout, 'data')
  const stopped = () => tree.filter(isStopped).length

  beforeEach(async () => {
    const child = start('tree-process.ts')
    await line(child)
    root = defined(identify(Number(child.pid)), 'process')
    tree = await eventually(() => {
      const found = [root, ...descendantsOf(root.pid)]
      expect(found).to.have.length(3)
      return found
    })
  })
  afterEach(() => {
    for (const { pid } of children.splice(0)) if (pid !== undefined && identify(pid)) killTree(pid)
  })

  it('freeze reaches a process and its descendants in other sessions, and ends by itself', async () => {
    const freeze = await startFreeze(root, 1_000)
    expect(stopped()).to.equal(3)
    expect(freeze.count).to.equal(3)
    await freeze.ended
    expect(stopped()).to.equal(0)
    expect(tree.map(({ pid }) => identify(pid))).to.deep.equal(tree)
  })

  it('freeze can be ended before its time', async () => {
    const freeze = await startFreeze(root, 600_000)
    expect(stopped()).to.equal(3)
    await freeze.undo()
    expect(stopped()).to.equal(0)
  })

  it('freeze ends by itself also when the process that began it is killed', async () => {
    const freezing = start('freezing-process.ts', String(root.pid), '2000')
    await line(freezing)
    freezing.kill('SIGKILL')
    await once(freezing, 'exit')
    expect(stopped()).to.equal(3)
    await eventually(() => expect(stopped()).to.equal(0))
  })

  it('freeze ends also when its own process is killed', async () => {
    const freeze = await startFreeze(root, 600_000)
    const [freezer] = descendantsOf(process.pid).filter(({ pid }) => !tree.some((member) => member.pid === pid))
    process.kill(defined(freezer, 'freezer').pid, 'SIGKILL')
    await freeze.ended
    expect(stopped()).to.equal(0)
  })

  it('freeze continues a child whose parent died during it', async () => {
    const freeze = await startFreeze(root, 600_000)
    process.kill(root.pid, 'SIGKILL')
    await eventually(() => expect(identify(root.pid)).to.equal(undefined))
    expect(stopped()).to.equal(2)
    await freeze.undo()
    expect(stopped()).to.equal(0)
    for (const { pid } of tree.slice(1)) if (identify(pid)) process.kill(pid, 'SIGKILL')
  })

  it('freeze of a process that has ended freezes nothing', async () => {
    process.kill(root.pid, 'SIGKILL')
    await eventually(() => expect(identify(root.pid)).to.equal(undefined))
    const freeze = await startFreeze(root, 100)
    await freeze.ended
    expect(stopped()).to.equal(0)
    for (const { pid } of tree.slice(1)) if (identify(pid)) process.kill(pid, 'SIGKILL')
  })
})
