import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { fetchLibfaketime } from '../src/libfaketime.ts'
import { canDownloadFromDebian } from '../src/servers/debian-cache.ts'

const HOUR_MS = 3_600_000

/** Tells when its timer is over. The clock of timers is not the one that was set. */
const SCRIPT = `
const started = performance.now()
setTimeout(() => console.log(JSON.stringify({ now: Date.now(), waitedMs: performance.now() - started })), 50)`

describe('libfaketime', function () {
  this.timeout(300_000) // The first time on a machine it may have to be downloaded.

  it('sets the clock of a process, and leaves its timers alone; undefined where there is no way to have it', async () => {
    const said: string[] = []
    const library = await fetchLibfaketime({ log: (line) => said.push(line) })
    if (library === undefined) {
      expect(canDownloadFromDebian() === false || said.join().includes('could not download')).to.equal(true)
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
