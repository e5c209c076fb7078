import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { UsageError } from '@cashflow/dev-stack'
import { REPOSITORY } from '@cashflow/testing'
import { HELP, list, readArguments } from './arguments.ts'
import { describeViolations, report, VIOLATIONS_SHOWN_MAX } from './report.ts'
import { runChaos } from './run.ts'

const say = (line: string) => void process.stdout.write(`${line}\n`)

try {
  // After a run, Node 24.21 may wait forever for requests of its own that never end (Environment::CleanupHandles).
  process.exit(await main())
} catch (error) {
  process.stderr.write(`${error instanceof UsageError ? error.message : (error as Error).stack}\n`)
  process.exit(2)
}

async function main(): Promise<number> {
  const args = readArguments(process.argv.slice(2))
  if (args.help || args.list) {
    process.stdout.write(args.help ? HELP : list())
    return 0
  }
  const dir = join(REPOSITORY, '.cashflow/chaos', `${args.seed}-${process.pid}`)
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir, { recursive: true })
  say(`seed ${args.seed}, ${args.minutes} minutes, logs in ${join(dir, 'logs')}`)
  const stopping = new AbortController()
  // The second signal kills. The processes that are left end by themselves.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort())
  const run = await runChaos({
    ...args,
    dir,
    sizes: { api: 2, relay: 2, worker: 2, webhooks: 2 },
    signal: stopping.signal,
    say,
  })
  say(`\n${report(run, args)}`)
  if (run.violations.length > VIOLATIONS_SHOWN_MAX) {
    const file = join(dir, 'violations.txt')
    writeFileSync(file, `${describeViolations(run)}\n`)
    say(`all violations: ${file}`)
  }
  return run.violations.length > 0 ? 1 : 0
}
