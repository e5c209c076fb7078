import { parseCommandLine, parseNumber, UsageError } from '@cashflow/dev-stack'
import type { Benchmark } from './benchmark.ts'
import { BENCHMARKS } from './benchmarks/index.ts'

export interface Arguments {
  /** In the order of the list, whatever the order in which they were named. */
  benchmarks: readonly Benchmark[]
  quick: boolean
  rounds: number
  /** The commit whose product is measured in turn with this tree's, as it was typed. */
  against: string | undefined
  list: boolean
  help: boolean
}

export const HELP = `npm run bench -- [name …] [options]      measures Cashflow beside what it is compared with

  name              only these benchmarks (all, which take three quarters of an hour)
  --against COMMIT  measures this tree in turn with that of another commit (a hash, a branch, a tag, HEAD~3), and says
                    whether this one keeps its speed. At least one name has to be given
  --rounds N        how often the variants of a benchmark take turns (5; 7 with --against)
  --quick           tiny sizes and one round, to see that everything runs: the figures mean nothing
  --list            prints the names of all benchmarks, and what they measure
  --help

Writes .cashflow/bench/<name>.json, or <name>-against.json, next to the tables that it prints. Exits with 1 when a
benchmark has failed or this tree does not keep its speed, 2 when it was not understood. PostgreSQL and RabbitMQ are its own: it disturbs nothing on this machine but by the load.
`

const ROUNDS_MAX = 100

/** @throws UsageError that says what is wrong with them */
export function readArguments(args: readonly string[]): Arguments {
  const flag = { type: 'boolean' } as const
  const text = { type: 'string' } as const
  const options = { quick: flag, list: flag, help: { ...flag, short: 'h' }, rounds: text, against: text } as const
  const { values, positionals } = parseCommandLine({ args: [...args], allowPositionals: true, options }, HELP)
  const { quick = false, against } = values
  const roundsByDefault = quick ? 1 : against === undefined ? 5 : 7
  return {
    benchmarks: against === undefined ? chosen(positionals) : comparable(positionals),
    quick,
    rounds:
      values.rounds === undefined
        ? roundsByDefault
        : parseNumber('--rounds', values.rounds, { min: 1, max: ROUNDS_MAX }),
    against,
    list: values.list ?? false,
    help: values.help ?? false,
  }
}

/** What `--list` prints. */
export function list(): string {
  const width = Math.max(...BENCHMARKS.map(({ name }) => name.length))
  return BENCHMARKS.map(({ name, title }) => `${name.padEnd(width)}  ${title}\n`).join('')
}

function chosen(names: readonly string[]): readonly Benchmark[] {
  if (names.length === 0) return BENCHMARKS
  const unknown = names.find((name) => !BENCHMARKS.some((benchmark) => benchmark.name === name))
  if (unknown !== undefined) throw new UsageError(`there is no benchmark "${unknown}". There are:\n${list()}`)
  return BENCHMARKS.filter(({ name }) => names.includes(name))
}

/** Those that can measure the product by itself. */
function comparable(names: readonly string[]): readonly Benchmark[] {
  const possible = BENCHMARKS.filter(({ alone }) => alone).map(({ name }) => name)
  const usable = `--against takes the names of benchmarks: ${possible.join(', ')}`
  if (names.length === 0) throw new UsageError(usable)
  const benchmarks = chosen(names)
  const other = benchmarks.find(({ alone }) => !alone)
  if (other) throw new UsageError(`${other.name} cannot compare two commits. ${usable}`)
  return benchmarks
}
