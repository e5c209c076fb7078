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
  /** Tiny sizes and one round: to see that it runs. Its figures mean nothing. */
  readonly quick: boolean
  /** Rounds in which the variants alternate. */
  readonly rounds: number
  /** Told what is under way. */
  readonly say: (line: string) => void
  /** Somebody wants to stop: whatever waits or repeats gives up with its reason. */
  readonly signal: AbortSignal
}

export interface Benchmark {
  /** As it is typed, and its file is named. */
  readonly name: string
  /** What is measured, and how. */
  readonly title: string
  run(context: Context): Promise<readonly Row[]>
}
