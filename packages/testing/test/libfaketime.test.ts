import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { canDownloadFromDebian } from '@cashflow/dev-stack'
import { expect } from 'chai'
import { fetchLibfaketime } from '../src/libfaketime.ts'

const HOUR_MS = 3_600_000

/** Prints the time when its timer fires. Timers use a clock that libfaketime does not set. */
const SCRIPT = `
const started = performance.now()
setTimeout(() => console.log(JSON.stringify({ now: Date.now(), waitedMs: performance.now() - started })), 50)`

describe('libfaketime', function () {
  this.timeout(300_000) // The first run on a machine may have to download it.

  it('sets the clock of a process and not its timers, or is undefined where it cannot be had', async () => {
    const lines: string[] = []
    const library = await fetchLibfaketime({ log: (line) => lines.push(line) })
    if (library === undefined) {
      expect(canDownloadFromDebian() === false || lines.join().includes('could not download')).to.equal(true)
      return
    }
    const env = { LD_PRELOAD: library, FAKETIME: '+1h', FAKETIME_DONT_FAKE_MONOTONIC: '1' }
    const before = Date.now()
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', SCRIPT], { env })
    const { now, waitedMs } = JSON.parse(stdout)
    expect(now).to.be.within(before + HOUR_MS, Date.now() + HOUR_MS)
    expect(waitedMs).to.be.within(49, Date.now() - before)
  })
})
