import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A line of a package's report, in the order of its tests. Files are paths in the repository. */
export type ReportLine =
  | { kind: 'began'; package: string }
  | { kind: 'file began'; file: string }
  | { kind: 'file ended'; file: string; ms: number }
  | { kind: 'passed' }
  | { kind: 'failed'; file: string; title: string; reason: string }
  | { kind: 'ended' }

/** Files that take longer than this on an idle machine are named `*.long.test.ts`. */
const FAST_FILE_MS_MAX = 5_000

interface PackageReport {
  name: string
  passed: number
  failed: Map<string, string[]>
  /** The file in which the process ended, if it ended before its tests had ended. */
  diedIn: string | undefined
  fileMs: Map<string, number>
}

export function readReports(folder: string): PackageReport[] {
  return readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n'))
    .map((lines) => toReport(lines.map((line) => JSON.parse(line) as ReportLine)))
    .toSorted((a, b) => a.name.localeCompare(b.name))
}

function toReport(lines: readonly ReportLine[]): PackageReport {
  const report: PackageReport = { name: '', passed: 0, failed: new Map(), diedIn: undefined, fileMs: new Map() }
  for (const line of lines) {
    if (line.kind === 'began') Object.assign(report, { name: line.package, diedIn: 'the beginning' })
    else if (line.kind === 'file began') report.diedIn = line.file
    // A file may have several suites.
    else if (line.kind === 'file ended') report.fileMs.set(line.file, (report.fileMs.get(line.file) ?? 0) + line.ms)
    else if (line.kind === 'passed') report.passed += 1
    else if (line.kind === 'failed')
      report.failed.set(line.file, [...(report.failed.get(line.file) ?? []), `${line.title}: ${line.reason}`])
    else report.diedIn = undefined
  }
  return report
}

/** The end of a run's output: failed tests, the commands that repeat them, and files too slow for `npm test`. */
export function summary(command: string, reports: readonly PackageReport[], durationMs: number): string {
  const lines: string[] = []
  for (const { name, failed, diedIn } of reports) {
    for (const [file, tests] of failed) {
      lines.push(`Failed in ${file}:`, ...tests.map((test) => `  ${test}`), `  ${commandFor(name, file)}`, '')
    }
    if (diedIn) lines.push(`${name} ended before its tests had ended, in ${diedIn}.`, '')
  }
  const slow = reports
    .flatMap(({ fileMs }) => [...fileMs])
    .filter(([file, ms]) => ms > FAST_FILE_MS_MAX && !file.endsWith('.long.test.ts'))
    .toSorted(([, a], [, b]) => b - a)
  if (slow.length > 0) {
    lines.push('Files over 5 s. Rename those that take as long on an idle machine to *.long.test.ts:')
    lines.push(...slow.map(([file, ms]) => `  ${(ms / 1_000).toFixed(1).padStart(5)} s  ${file}`), '')
  }
  const passed = reports.reduce((sum, report) => sum + report.passed, 0)
  const failures = reports.flatMap(({ failed }) => [...failed.values()].flat()).length
  const seconds = Math.round(durationMs / 1_000)
  lines.push(
    `${command}: ${passed} tests passed, ${failures} failed, in ${Math.floor(seconds / 60)} min ${seconds % 60} s`,
  )
  return `\n${lines.join('\n')}\n`
}

function commandFor(name: string, file: string): string {
  return `npm exec -- pnpm --filter ${name} exec mocha ${file.slice(file.indexOf('/test/') + 1)}`
}
