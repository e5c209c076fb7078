import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { onStopSignals } from '@cashflow/dev-stack'
import { REPOSITORY } from '@cashflow/testing'
import { HELP, list, readArguments, UsageError } from './arguments.ts'
import { writeResults } from './results.ts'
import { runBenchmarks } from './run.ts'
import { startServers } from './servers.ts'

const RESULTS = join(REPOSITORY, '.cashflow/bench')
const print = (text: string) => void process.stdout.write(`${text}\n`)
const say = (line: string) => void process.stderr.write(`${line}\n`)

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`${error instanceof UsageError ? error.message : (error as Error).stack}\n`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}

async function main(): Promise<number> {
  const args = readArguments(process.argv.slice(2))
  if (args.help || args.list) {
    process.stdout.write(args.help ? HELP : list())
    return 0
  }
  const stopping = new AbortController()
  onStopSignals({
    stop: (signal) => stopping.abort(new Error(`stopped by ${signal}`)),
    kill: () => process.exit(1),
  })
  const { signal } = stopping
  const dir = join(RESULTS, `run-${process.pid}`)
  const servers = await startServers(dir, say, signal)
  let failed: string[] = []
  try {
    failed = await runBenchmarks({
      benchmarks: args.benchmarks,
      context: { servers, quick: args.quick, rounds: args.rounds, say, signal },
      print,
      write: (benchmark, rows) => writeResults(RESULTS, benchmark, rows),
    })
  } finally {
    await servers.stop()
    if (failed.length === 0) rmSync(dir, { recursive: true, force: true })
  }
  if (failed.length === 0) return 0
  print(`${failed.join(', ')} failed; the logs are in ${dir}`)
  return 1
}
