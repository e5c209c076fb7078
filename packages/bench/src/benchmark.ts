import type { Product } from './contender.ts'
import type { Servers } from './servers.ts'

/** Figures of one run of a variant, by metric: `{ rate: 1850, p99Ms: 31 }`. */
export type Measured = Readonly<Record<string, number>>

/** One line of a benchmark's table. */
export interface Row {
  readonly what: string
  readonly value: number
  readonly unit: string
  /** The `what` of the row that this row is compared with. */
  readonly ratio_to?: string
  readonly ratio?: number
  /** The least and the greatest value of the rounds. `value` is their median. */
  readonly spread?: readonly [min: number, max: number]
}

export interface Context {
  readonly servers: Servers
  /** The Cashflow that is measured. */
  readonly product: Product
  /** Tiny sizes and one round, to check that it runs. The figures mean nothing. */
  readonly quick: boolean
  /** Number of rounds, in which the variants alternate. */
  readonly rounds: number
  /** Logs the progress. */
  readonly say: (line: string) => void
  /** Aborts when the user stops the run. Every wait and every loop then throws its reason. */
  readonly signal: AbortSignal
}

/** The name of a metric in a table. */
export interface Figure {
  readonly metric: string
  /** The items that are counted, such as `answers`. */
  readonly what: string
  readonly unit: string
}

/** Each variant measures one run, and sets up and cleans up by itself. */
export type Variants = Readonly<Record<string, () => Promise<Measured>>>

export interface Benchmark {
  /** Its name on the command line, and the name of its file. */
  readonly name: string
  /** A description of what it measures, and how. */
  readonly title: string
  /** The figures of each variant. */
  readonly figures: readonly Figure[]
  /** Pairs of variants whose medians are divided: the first by the second. */
  readonly ratios?: readonly (readonly [of: string, to: string])[]
  /** Maximum number of rounds without `--against`. */
  readonly roundsMax?: number
  /**
   * The variant that `--against` runs, once for each tree in each round. It measures the product of the context only,
   * with `rate` and `cpuUs` among its figures. Undefined for a benchmark that cannot compare two commits.
   */
  readonly compared?: string
  /** @param cleanup disposes of what the variants share */
  variants(context: Context, cleanup: AsyncDisposableStack): Variants | Promise<Variants>
}
