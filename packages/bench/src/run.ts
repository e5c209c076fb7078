import { inspect } from 'node:util'
import type { Benchmark, Context, Row } from './benchmark.ts'
import { table } from './table.ts'

export interface RunOptions {
  readonly benchmarks: readonly Benchmark[]
  readonly context: Context
  /** Told each table as soon as there is one. */
  readonly print: (text: string) => void
  readonly write: (benchmark: Benchmark, rows: readonly Row[]) => void
}

/** One after the other. One that fails does not keep the others from running. @returns the names of those that failed */
export async function runBenchmarks({ benchmarks, context, print, write }: RunOptions): Promise<string[]> {
  const failed: string[] = []
  for (const benchmark of benchmarks) {
    const { name, title } = benchmark
    try {
      const rows = await benchmark.run({ ...context, say: (line) => context.say(`${name}: ${line}`) })
      write(benchmark, rows)
      print(`\n${name}: ${title}\n\n${table(rows)}\n`)
    } catch (error) {
      if (context.signal.aborted) throw context.signal.reason
      failed.push(name)
      context.say(`${name} has failed: ${inspect(error)}\n`)
    }
  }
  return failed
}
