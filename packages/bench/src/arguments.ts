import { parseCommandLine, parseNumber, UsageError } from '@cashflow/dev-stack'
import type { Benchmark } from './benchmark.ts'
import { BENCHMARKS } from './benchmarks/index.ts'

export const HELP = `npm run bench -- [name …] [options]      measures Cashflow next to other implementations

  name              only these benchmarks (all)
  --against COMMIT  compares this tree with another commit (a hash, a branch, a tag, HEAD~3), and says whether this
                    tree keeps its speed. Needs at least one name
  --rounds N        number of rounds, in which the variants of a benchmark alternate (5; 7 with --against)
  --quick           tiny sizes and one round, to check that everything runs. The figures mean nothing
  --list            prints the names and titles of all benchmarks
  --help

Writes .cashflow/bench/<name>.json, or <name>-against.json, next to the tables that it prints. Exits with 1 when a
benchmark has failed or this tree does not keep its speed, with 2 for wrong arguments. It uses its own PostgreSQL and
RabbitMQ.
`

const ROUNDS_MAX = 100

/** Reads the command line. @throws UsageError that names the wrong argument */
export function readArguments(args: readonly string[]) {
  const flag = { type: 'boolean' } as const
  const text = { type: 'string' } as const
  const options = { quick: flag, list: flag, help: { ...flag, short: 'h' }, rounds: text, against: text } as const
  const { values, positionals } = parseCommandLine({ args: [...args], allowPositionals: true, options }, HELP)
  const { quick = false, against } = values
  const roundsByDefault = quick ? 1 : against === undefined ? 5 : 7
  return {
    /** In the order of the list, not in the order of the arguments. */
    benchmarks: against === undefined ? chosen(positionals) : comparable(positionals),
    quick,
    rounds:
      values.rounds === undefined
        ? roundsByDefault
        : parseNumber('--rounds', values.rounds, { min: 1, max: ROUNDS_MAX }),
    /** The commit that is compared with this tree, as it was typed. */
    against,
    list: values.list ?? false,
    help: values.help ?? false,
  }
}

/** Returns what `--list` prints. */
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

/** Returns the named benchmarks, all of which must be able to compare two commits. */
function comparable(names: readonly string[]): readonly Benchmark[] {
  const possible = BENCHMARKS.filter(({ compared }) => compared).map(({ name }) => name)
  const usable = `--against needs the names of benchmarks: ${possible.join(', ')}`
  if (names.length === 0) throw new UsageError(usable)
  const benchmarks = chosen(names)
  const other = benchmarks.find(({ compared }) => !compared)
  if (other) throw new UsageError(`${other.name} cannot compare two commits. ${usable}`)
  return benchmarks
}
