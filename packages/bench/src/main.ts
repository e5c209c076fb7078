import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { onStopSignals, UsageError } from '@cashflow/dev-stack'
import { REPOSITORY } from '@cashflow/testing'
import { compareTrees, report } from './against/against.ts'
import { checkOut, type Opponent } from './against/checkout.ts'
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
  const context = { servers, product: THIS_TREE, quick, rounds, signal }
  const failed: string[] = []
  let isSlower = false
  try {
    for (const benchmark of args.benchmarks) {
      const { name } = benchmark
      try {
        const keepsSpeed = await run(benchmark, { ...context, say: (line) => say(`${name}: ${line}`) }, opponent)
        if (keepsSpeed === false) isSlower = true
      } catch (error) {
        if (signal.aborted) throw signal.reason
        failed.push(name) // The others run all the same.
        say(`${name} has failed: ${inspect(error)}\n`)
      }
    }
  } finally {
    await servers.stop()
    if (failed.length === 0) rmSync(dir, { recursive: true, force: true })
  }
  if (failed.length > 0) print(`${failed.join(', ')} failed; the logs are in ${dir}`)
  return failed.length > 0 || isSlower ? 1 : 0
}

/** Runs a benchmark, then prints and writes its results. @returns whether this tree keeps its speed, if that is known */
async function run(benchmark: Benchmark, context: Context, opponent: Opponent | undefined) {
  const { name, title } = benchmark
  const show = (file: string, results: object, text: string) => {
    writeFileSync(join(RESULTS, `${file}.json`), `${JSON.stringify(results, null, 2)}\n`)
    print(`\n${name}: ${title}\n\n${text}\n`)
  }
  if (!opponent) {
    const rows = await measureRows(benchmark, context)
    show(name, { name, rows }, table(rows))
    return undefined
  }
  const comparison = await compareTrees(benchmark, context, opponent)
  show(`${name}-against`, comparison, report(comparison, opponent))
  return comparison.keepsSpeed
}
