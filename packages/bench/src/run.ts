import { inspect } from 'node:util'
import type { Benchmark, Context } from './benchmark.ts'

/** One after the other. One that fails does not keep the others from running. @returns the names of those that failed */
export async function runEach(
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
