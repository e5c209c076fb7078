import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { type ReportLine, readReports, summary } from '../src/run-report.ts'

describe('report at the end of npm test', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cashflow-test-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  function write(name: string, ...lines: ReportLine[]): void {
    const began: ReportLine = { kind: 'began', package: `@cashflow/${name}` }
    writeFileSync(join(folder, name), [began, ...lines].map((line) => `${JSON.stringify(line)}\n`).join(''))
  }

  const file = (path: string, ...lines: ReportLine[]): ReportLine[] => [{ kind: 'file began', file: path }, ...lines]
  const ended = (path: string, ms: number): ReportLine => ({ kind: 'file ended', file: path, ms })

  it('names each failed file, the reason, and the command that runs it alone', () => {
    const path = 'services/api/test/payments/a.test.ts'
    const failed = { kind: 'failed', file: path, title: 'a test', reason: 'expected 1 to equal 2' } as const
    write('api', ...file(path, { kind: 'passed' }, failed, ended(path, 10)), { kind: 'ended' })
    expect(summary('npm run test', readReports(folder), 61_000)).to.equal(`
Failed in services/api/test/payments/a.test.ts:
  a test: expected 1 to equal 2
  npm exec -- pnpm --filter @cashflow/api exec mocha test/payments/a.test.ts

npm run test: 1 tests passed, 1 failed, in 1 min 1 s
`)
  })

  it('names the file in which a package’s test process ended', () => {
    write('db', ...file('db/test/a.test.ts', ended('db/test/a.test.ts', 10)), ...file('db/test/b.test.ts'))
    expect(summary('npm run test', readReports(folder), 0)).to.include(
      '@cashflow/db ended before its tests had ended, in db/test/b.test.ts.',
    )
  })

  it('names fast files whose suites together took over 5 s, and no long ones', () => {
    const [slow, fast, long] = ['db/test/slow.test.ts', 'db/test/fast.test.ts', 'db/test/c.long.test.ts'] as const
    write('db', ...file(slow, ended(slow, 3_000)), ...file(slow, ended(slow, 3_100)), ended(fast, 4_900), {
      kind: 'ended',
    })
    write('api', ended(long, 60_000), { kind: 'ended' })
    const text = summary('npm run test', readReports(folder), 0)
    expect(text).to.include('    6.1 s  db/test/slow.test.ts')
    expect(text).not.to.include(fast).and.not.to.include(long)
  })
})
