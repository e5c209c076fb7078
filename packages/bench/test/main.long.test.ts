import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { descendantsOf } from '@cashflow/dev-stack'
import { eventually, REPOSITORY } from '@cashflow/testing'
import { expect } from 'chai'
import type { Row } from '../src/benchmark.ts'
import { BENCHMARKS } from '../src/benchmarks/index.ts'

const MAIN = join(import.meta.dirname, '../src/main.ts')
const run = (...args: string[]) => promisify(execFile)(process.execPath, [MAIN, ...args])
const fileOf = (name: string) => join(REPOSITORY, '.cashflow/bench', `${name}.json`)

describe('npm run bench', () => {
  it('runs every benchmark, and writes its rows', async () => {
    for (const { name } of BENCHMARKS) rmSync(fileOf(name), { force: true })
    const { stdout } = await run('--quick')
    for (const { name, title } of BENCHMARKS) {
      expect(stdout).to.include(`${name}: ${title}`)
      const written = JSON.parse(readFileSync(fileOf(name), 'utf8')) as { name: string; rows: Row[] }
      expect(written.name).to.equal(name)
      expect(written.rows, name).to.not.be.empty
      expectWellFormed(written.rows)
    }
  }).timeout(600_000)

  it('stops every process when it is interrupted, and leaves no folder', async () => {
    const child = spawn(process.execPath, [MAIN, 'post'], { stdio: ['ignore', 'ignore', 'pipe'] })
    const pid = child.pid ?? 0
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    const started = () => descendantsOf(pid).map((each) => each.pid)
    await eventually(
      () =>
        expect(
          started().some((each) => commandOf(each).includes('services/api')),
          said,
        ).to.equal(true),
      { timeoutMs: 120_000 },
    )
    const all = started()
    child.kill('SIGINT')
    expect(await once(child, 'close')).to.deep.equal([1, null])
    expect(said).to.include('stopped by SIGINT')
    await eventually(() => expect(all.map(commandOf).filter(Boolean)).to.deep.equal([]))
    expect(existsSync(join(REPOSITORY, '.cashflow/bench', `run-${pid}`))).to.equal(false)
  }).timeout(300_000)

  it('exits with 2 when there is no commit to compare with', async () => {
    const failure = await run('post', '--quick', '--against', 'no-such-commit').catch((error) => error)
    expect(failure).to.include({ code: 2 })
    expect(failure.stderr).to.include('there is no commit "no-such-commit"')
  })

  it('names an unknown benchmark in its error', async () => {
    const failure = await run('pots').catch((error) => error)
    expect(failure).to.include({ code: 2 })
    expect(failure.stderr).to.include('there is no benchmark "pots"')
  })
})

/** Returns the command of a process. Empty after its end. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

/**
 * Checks that the values are numbers, and that the rows of all ratios exist. The figures of a quick run mean nothing.
 */
function expectWellFormed(rows: readonly Row[]): void {
  for (const row of rows) {
    expect(row.what).to.be.a('string').that.is.not.empty
    expect(row.unit).to.be.a('string')
    expect(row.value, row.what).to.be.finite
    expect('ratio' in row, row.what).to.equal('ratio_to' in row)
    if (row.ratio !== undefined) expect(row.ratio, row.what).to.be.finite
    if (row.ratio_to !== undefined) expect(rows.map(({ what }) => what)).to.include(row.ratio_to)
  }
}
