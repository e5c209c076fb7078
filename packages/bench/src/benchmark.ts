import type { Product } from './contender.ts'
import type { Pace } from './meter.ts'
import type { Measured } from './rounds.ts'
import type { Servers } from './servers.ts'

/** One line of a benchmark's table. */
export interface Row {
  readonly what: string
  readonly value: number
  readonly unit: string
  /** The `what` of the row that this one is compared with. */
  readonly ratio_to?: string
  readonly ratio?: number
  /** The least and the greatest of the rounds whose median `value` is. */
  readonly spread?: readonly [min: number, max: number]
}

export interface Context {
  readonly servers: Servers
  /** The Cashflow that is measured. */
  readonly product: Product
  /** Tiny sizes and one round: to see that it runs. Its figures mean nothing. */
  readonly quick: boolean
  /** Rounds in which the variants alternate. */
  readonly rounds: number
  /** Told what is under way. */
  readonly say: (line: string) => void
  /** Somebody wants to stop: whatever waits or repeats gives up with its reason. */
  readonly signal: AbortSignal
}

/** What a metric is called in a table. */
export interface Figure<Metric extends string = string> {
  readonly metric: Metric
  /** `answers` */
  readonly what: string
  readonly unit: string
}

/** What `--against` runs of a benchmark, once for each tree in each round. */
export interface Alone {
  /** What `rate` counts, and what `cpuUs` is divided by: `payments settled`. */
  readonly items: string
  /** What else it measures. */
  readonly more?: readonly Figure[]
  /** Measures the product of the context, and nothing else. */
  measure(context: Context): Promise<Pace & Measured>
}

export interface Benchmark {
  /** As it is typed, and its file is named. */
  readonly name: string
  /** What is measured, and how. */
  readonly title: string
  run(context: Context): Promise<readonly Row[]>
  /** Without it, the benchmark cannot compare two commits. */
  readonly alone?: Alone
}
