import type { Random } from './random.ts'
import type { ServiceRole } from './service.ts'
import type { Need, System } from './system.ts'

/** A part of the system. Two faults that disturb the same part never overlap, because each undoes what it did. */
export type SystemPart =
  | ServiceRole
  | 'postgres'
  | 'broker'
  | 'database links'
  | 'broker links'
  | 'messages'
  | 'provider'
  | 'receivers'
  | 'endpoints'

/** Undefined when the fault had an effect, or when that cannot be known. */
export type Effect = 'no effect' | undefined

export interface Fault {
  readonly name: string
  readonly disturbs: readonly SystemPart[]
  /** Bounds of its duration in milliseconds. The seed decides within them. */
  readonly lastsMs: readonly [min: number, max: number]
  /** Time that the schedule reserves for undoing it, in milliseconds. */
  readonly recoveryMs: number
  readonly needs?: Need
  /**
   * Causes the fault, waits until its end, and undoes it. Resolves once it is undone. Resolves with `no effect` when the
   * fault hit nothing, for example when no service sent the message that was to be lost.
   */
  run(system: System, context: FaultContext): Promise<Effect>
}

export interface FaultContext {
  readonly random: Random
  /** Resolves when the fault has lasted long enough. */
  untilEnd(): Promise<void>
  /** Logs an action that the fault's name does not say. */
  say(line: string): void
}
