import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { descendantsOf } from '@cashflow/dev-stack'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { residentBytes, startedCpuMs, treeCpuMs } from '../src/resources.ts'

describe('resources of a process', () => {
  it('count CPU time in milliseconds, as Node does', () => {
    const usedBefore = process.cpuUsage()
    const before = treeCpuMs(process.pid)
    let busy = 0
    while (process.cpuUsage(usedBefore).user < 100_000) busy += Math.random()
    const { user, system } = process.cpuUsage(usedBefore)
    expect(busy).to.be.above(0)
    // Either clock runs on while the other one is read.
    expect(treeCpuMs(process.pid) - before).to.be.within(80, (user + system) / 1_000 + 100)
  })

  it('include the CPU time of its children, and of their children', async () => {
    const loop = 'let i = 0; for (;;) i++'
    const child = spawn('sh', ['-c', `"${process.execPath}" -e "${loop}" & wait`], { detached: true })
    try {
      const pid = child.pid ?? 0
      await eventually(() => {
        expect(startedCpuMs(pid)).to.be.above(50)
      })
    } finally {
      process.kill(-(child.pid ?? 0), 'SIGKILL')
      await once(child, 'exit')
    }
  })

  for (const [waits, link] of [
    ['has waited for', ';'],
    ['has not waited for yet', '&'],
  ])
    it(`include the CPU time of an ended child that its parent ${waits}`, async () => {
      const burn = 'while (process.cpuUsage().user < 200000); console.log("done")'
      const command = `"$0" -e '${burn}' ${link} exec sleep 1000`
      const parent = spawn('sh', ['-c', command, process.execPath], {
        stdio: ['ignore', 'pipe', 'ignore'],
        detached: true,
      })
      const pid = parent.pid ?? 0
      try {
        await once(parent.stdout, 'data')
        await eventually(() => expect(descendantsOf(pid)).to.be.empty)
        expect(startedCpuMs(pid)).to.be.at.least(180)
        expect(treeCpuMs(pid)).to.be.at.least(startedCpuMs(pid))
      } finally {
        process.kill(-pid, 'SIGKILL')
        await once(parent, 'exit')
      }
    })

  it('count resident memory in bytes', () => {
    expect(residentBytes(process.pid)).to.be.within(process.memoryUsage.rss() / 2, process.memoryUsage.rss() * 2)
  })
})
