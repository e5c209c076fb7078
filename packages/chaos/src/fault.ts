import type { Random } from './random.ts'
import type { System } from './system.ts'

/** What a fault disturbs. Two that disturb the same never overlap: each must be able to undo what it did. */
export type Part =
  | 'api'
  | 'relay'
  | 'worker'
  | 'postgres'
  | 'broker'
  | 'database links'
  | 'broker links'
  | 'messages'
  | 'provider'

/** What a system has only for the faults that need it: three nodes of RabbitMQ, or what not every machine has. */
export type Need = 'cluster' | 'small disk' | 'libfaketime'

/** Undefined where it had one, or where that cannot be known. */
export type Effect = 'no effect' | undefined

export interface Fault {
  readonly name: string
  readonly disturbs: readonly Part[]
  /** It lasts between the first and the second, in milliseconds, as the seed decides. */
  readonly lastsMs: readonly [min: number, max: number]
  /** What it takes to undo it, at most as a rule: the plan leaves so much room. */
  readonly healsMs: number
  readonly needs?: Need
  /**
   * Makes it, waits until it is over, and undoes it; it is undone when this resolves. `no effect` when what it is for did
   * not come about, as when nobody sent what was to be lost.
   */
  run(system: System, course: Course): Promise<Effect>
}

export interface Course {
  readonly random: Random
  /** Resolves when the fault has lasted long enough. */
  over(): Promise<void>
  /** Tells what else was done than the fault's name says. */
  say(line: string): void
}
