import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'chai'
import { identify, isRunning } from '../../src/processes/process-table.ts'

describe('process identity', () => {
  it('matches while the process runs, and not afterwards', async () => {
    const child = spawn('sleep', ['60'])
    await once(child, 'spawn')
    const identity = identify(child.pid as number)
    if (!identity) throw new Error('no identity')
    expect(isRunning(identity)).to.equal(true)
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(isRunning(identity)).to.equal(false)
  })

  it('process identity does not match a later process with the same pid', () => {
    const own = identify(process.pid)
    if (!own) throw new Error('no identity')
    expect(isRunning(own)).to.equal(true)
    expect(isRunning({ ...own, startedAt: `${own.startedAt}0` })).to.equal(false)
  })
})
