import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { onStopSignals, UsageError } from '@cashflow/dev-stack'
import { REPOSITORY } from '@cashflow/testing'
import { compareTrees, report } from './against/against.ts'
import { checkOut } from './against/checkout.ts'
import { HELP, list, readArguments } from './arguments.ts'
import type { Benchmark, Context } from './benchmark.ts'
import { THIS_TREE } from './contender.ts'
import { measureRows } from './rounds.ts'
import { startServers } from './servers.ts'
import { table } from './table.ts'

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
  const { against: commit, quick, rounds } = args
  const opponent =
    commit === undefined ? undefined : await checkOut({ repository: REPOSITORY, commit, dir: RESULTS, say, signal })
  const dir = join(RESULTS, `run-${process.pid}`)
  const products = [THIS_TREE, ...(opponent ? [opponent.product] : [])]
  const servers = await startServers({ dir, products, say, signal })
  const slower: string[] = []
  let failed: string[] = []
  try {
    const context = { servers, product: THIS_TREE, quick, rounds, say, signal }
    failed = await runEach(args.benchmarks, context, async (benchmark, own) => {
      const { name, title } = benchmark
      if (opponent) {
        const comparison = await compareTrees(benchmark, own, opponent)
        writeResults(RESULTS, `${name}-against`, comparison)
        print(`\n${name}: ${title}\n\n${report(comparison, opponent)}\n`)
        if (comparison.keepsSpeed === false) slower.push(name)
      } else {
        const rows = await measureRows(benchmark, own)
        writeResults(RESULTS, name, { name, rows })
        print(`\n${name}: ${title}\n\n${table(rows)}\n`)
      }
    })
  } finally {
    await servers.stop()
    if (failed.length === 0) rmSync(dir, { recursive: true, force: true })
  }
  if (failed.length > 0) print(`${failed.join(', ')} failed; the logs are in ${dir}`)
  return failed.length + slower.length === 0 ? 0 : 1
}

/** Runs the benchmarks one after the other, also after one has failed. @returns the names of those that failed */
async function runEach(
  benchmarks: readonly Benchmark[],
  context: Context,
  run: (benchmark: Benchmark, context: Context) => Promise<void>,
): Promise<string[]> {
  const failed: string[] = []
  for (const benchmark of benchmarks) {
    const { name } = benchmark
    try {
      await run(benchmark, { ...context, say: (line) => context.say(`${name}: ${line}`) })
    } catch (error) {
      if (context.signal.aborted) throw context.signal.reason
      failed.push(name)
      context.say(`${name} has failed: ${inspect(error)}\n`)
    }
  }
  return failed
}

/** Writes `<dir>/<file>.json`, and replaces the file of an earlier run. */
function writeResults(dir: string, file: string, results: object): void {
  mkdirSync(dir, { recursive: true })
  writeFileSync(join(dir, `${file}.json`), `${JSON.stringify(results, null, 2)}\n`)
}
