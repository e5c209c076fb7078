import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { fetchPrometheus } from '../src/prometheus.ts'

describe('Prometheus for tests', function () {
  this.timeout(300_000) // The first run on a machine may have to download it.

  it('Prometheus for tests: runs as it is installed, or as apt-get has downloaded it', async () => {
    const programs = await fetchPrometheus()
    if (!programs) return
    for (const program of [programs.prometheus, programs.promtool]) {
      const { stdout } = await promisify(execFile)(program, ['--version'])
      expect(stdout).to.match(/version [23]\./)
    }
  })

  it('Prometheus for tests: leaves tests out with one line where it cannot be had, and fails where all have to run', async () => {
    const lines: string[] = []
    const away = {
      find: () => undefined,
      fetchPackage: () => Promise.reject(new Error('no network')),
      log: (line: string) => void lines.push(line),
    }
    expect(await fetchPrometheus({ ...away, isComplete: false })).to.equal(undefined)
    expect(lines).to.deep.equal([
      'Tests are left out, because Prometheus is not installed, and apt-get could not download it: no network',
    ])
    const failure = await fetchPrometheus({ ...away, isComplete: true }).catch((error) => error)
    expect(failure).to.be.an('error')
    const other = { ...away, fetchPackage: () => Promise.resolve(undefined), isComplete: true }
    expect(await fetchPrometheus(other).catch((error) => error.message)).to.equal('Prometheus is not installed')
  })
})
