import { eventually } from '@cashflow/async'
import { expect } from 'chai'
import type { Exit } from '../../src/processes/daemon.ts'
import { keepRunning } from '../../src/processes/keep-running.ts'

/** A process that runs until `die` or `stop`. */
function fakeProcess(pid: number) {
  const { promise: exited, resolve } = Promise.withResolvers<Exit>()
  return {
    pid,
    exited,
    die: (signal: NodeJS.Signals) => resolve({ code: null, signal }),
    stop: async () => resolve({ code: 0, signal: null }),
  }
}

describe('keepRunning', () => {
  function keep(start: (signal: AbortSignal) => Promise<ReturnType<typeof fakeProcess>>) {
    const events: string[] = []
    const kept = keepRunning({
      start,
      signal: new AbortController().signal,
      restartAfterMs: 5,
      onDied: ({ signal }) => events.push(`died ${signal}`),
      onRestartFailed: (error) => events.push(`failed ${(error as Error).message}`),
      onRestarted: ({ pid }) => events.push(`back ${pid}`),
    })
    return { kept, events }
  }

  it('restarts the process after each death, also after failed restarts', async () => {
    const [first, second, third] = [fakeProcess(1), fakeProcess(2), fakeProcess(3)]
    const starts = [first, 'too early', 'still too early', second, third]
    const { kept, events } = keep(async () => {
      const next = starts.shift()
      if (typeof next !== 'object') throw new Error(next ?? 'none left')
      return next
    })
    const process = await kept
    first.die('SIGKILL')
    await eventually(() => expect(process.pid()).to.equal(2))
    second.die('SIGSEGV')
    await eventually(() => expect(process.pid()).to.equal(3))
    await process.stop()
    expect(events).to.deep.equal([
      'died SIGKILL',
      'failed too early',
      'failed still too early',
      'back 2',
      'died SIGSEGV',
      'back 3',
    ])
  })

  it('rejects if the first start fails', async () => {
    const { kept } = keep(() => Promise.reject(new Error('no')))
    expect(await kept.catch((error: Error) => error.message)).to.equal('no')
  })

  it('starts no process after stop, and stops one that becomes ready during stop', async () => {
    const late = Promise.withResolvers<ReturnType<typeof fakeProcess>>()
    const first = fakeProcess(1)
    const starts = [Promise.resolve(first), late.promise]
    let started = 0
    const { kept } = keep(() => starts[started++] ?? Promise.reject(new Error('a third start')))
    const process = await kept
    first.die('SIGKILL')
    await eventually(() => expect(started).to.equal(2))
    const stopped = process.stop()
    const second = fakeProcess(2)
    late.resolve(second)
    await stopped
    expect(await second.exited).to.deep.equal({ code: 0, signal: null })
    expect(started).to.equal(2)
  })
})
