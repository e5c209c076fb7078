import type { Fault } from './fault.ts'
import { createRandom } from './random.ts'

/** One fault at its time. */
export interface Appointment {
  readonly fault: Fault
  /** After the load began, in milliseconds. */
  readonly atMs: number
  readonly lastsMs: number
  /** For what else it leaves to chance, such as its victim. */
  readonly seed: number
}

export interface ScheduleOptions {
  readonly seed: number
  readonly durationMs: number
  readonly faults: readonly Fault[]
  /** How many faults may be under way at the same time. */
  readonly atOnce: number
  /** Between the end of one fault and the next one that takes its place, at least and at most. */
  readonly restMs: readonly [min: number, max: number]
}

const STEP_MS = 500

/** Which fault comes when: the same for the same options, and each fault about as often as any other. */
export function planSchedule({ seed, durationMs, faults, atOnce, restMs }: ScheduleOptions): Appointment[] {
  const random = createRandom(seed)
  const appointments: Appointment[] = []
  let waiting: Fault[] = []
  const freeAt = Array.from({ length: atOnce }, () => random.int(...restMs))
  for (;;) {
    // A fault that was passed over because of others comes before any that had its turn.
    if (waiting.length < faults.length) waiting = [...waiting, ...random.shuffled(faults)]
    const turn = freeAt.indexOf(Math.min(...freeAt))
    const atMs = freeAt[turn] as number
    const index = waiting.findIndex((fault) => !appointments.some((other) => collide(fault, atMs, other)))
    const [fault] = index < 0 ? [] : waiting.splice(index, 1)
    if (!fault) {
      freeAt[turn] = atMs + STEP_MS
      if (freeAt[turn] > durationMs) return appointments
      continue
    }
    const appointment = { fault, atMs, lastsMs: random.int(...fault.lastsMs), seed: random.int(0, 2 ** 31) }
    if (endOf(appointment) > durationMs && appointments.length > 0) return appointments
    appointments.push(appointment)
    freeAt[turn] = endOf(appointment) + random.int(...restMs)
  }
}

function endOf({ fault, atMs, lastsMs }: Appointment): number {
  return atMs + lastsMs + fault.healsMs
}

function collide({ disturbs }: Fault, atMs: number, other: Appointment): boolean {
  return endOf(other) > atMs && disturbs.some((part) => other.fault.disturbs.includes(part))
}
