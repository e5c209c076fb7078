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

function factOf({ exit, pid, error }: Record<string, unknown> = {}) {
  return exit ?? pid ?? (error as Error).message
}

describe('keepRunning', () => {
  function keep(start: (signal: AbortSignal) => Promise<ReturnType<typeof fakeProcess>>) {
    const events: string[] = []
    const kept = keepRunning({
      label: 'worker 1',
      start,
      signal: new AbortController().signal,
      restartAfterMs: 5,
      log: (_level, message, fields) => events.push(`${message}: ${factOf(fields)}`),
      onChange: () => events.push('changed'),
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
      'worker 1 died, and is restarted: SIGKILL',
      'changed',
      'worker 1 could not be restarted; trying again: too early',
      'worker 1 could not be restarted; trying again: still too early',
      'worker 1 runs again: 2',
      'changed',
      'worker 1 died, and is restarted: SIGSEGV',
      'changed',
      'worker 1 runs again: 3',
      'changed',
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
