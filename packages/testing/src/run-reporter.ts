import { appendFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { defined } from '@cashflow/async'
import Mocha from 'mocha'
import { REPOSITORY } from './repository.ts'
import type { ReportLine } from './run-report.ts'

/**
 * Mocha's spec reporter, which also writes a report into the folder `CASHFLOW_TEST_REPORTS`, one file for each package.
 * Each line is written immediately, so that a process that dies leaves what it has done.
 */
export default class RunReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options)
    const folder = process.env.CASHFLOW_TEST_REPORTS
    if (!folder)
      throw new Error('CASHFLOW_TEST_REPORTS is not set: only npm test and npm run test:long report this way')
    const report = join(folder, `${process.pid}.jsonl`)
    const write = (line: ReportLine) => appendFileSync(report, `${JSON.stringify(line)}\n`)
    let file = ''
    let startedAt = 0

    runner.on('start', () => write({ kind: 'began', package: process.env.npm_package_name ?? process.cwd() }))
    runner.on('suite', (suite) => {
      if (!suite.parent?.root) return
      file = relative(REPOSITORY, defined(suite.file, 'file of the suite'))
      startedAt = performance.now()
      write({ kind: 'file began', file })
    })
    runner.on('suite end', (suite) => {
      if (suite.parent?.root) write({ kind: 'file ended', file, ms: Math.round(performance.now() - startedAt) })
    })
    runner.on('pass', () => write({ kind: 'passed' }))
    runner.on('fail', (test, { message = '' }: Error) => {
      write({ kind: 'failed', file, title: test.fullTitle(), reason: String(message.split('\n')[0]) })
    })
    runner.on('end', () => write({ kind: 'ended' }))
  }
}
