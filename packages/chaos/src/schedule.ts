import { defined } from '@cashflow/async'
import type { Plan } from './arguments.ts'
import type { Fault } from './fault.ts'
import { createRandom } from './random.ts'

/** A fault and its time. */
export interface ScheduledFault {
  readonly fault: Fault
  /** Time from the beginning of the load, in milliseconds. */
  readonly atMs: number
  readonly lastsMs: number
  /** Decides the fault's other choices, such as its victim. */
  readonly seed: number
}

type ScheduleOptions = Pick<Plan, 'seed' | 'faults' | 'atOnce' | 'restMs'> & { readonly durationMs: number }

const STEP_MS = 500

/** Plans when each fault runs. The same options give the same schedule, and each fault comes about equally often. */
export function planSchedule({ seed, durationMs, faults, atOnce, restMs }: ScheduleOptions): ScheduledFault[] {
  const random = createRandom(seed)
  const schedule: ScheduledFault[] = []
  let waiting: Fault[] = []
  /** For each slot, when its next fault may begin. */
  const freeAt = Array.from({ length: atOnce }, () => random.int(...restMs))
  for (;;) {
    // A fault that could not run because of a collision comes before a second run of any other.
    if (waiting.length < faults.length) waiting = [...waiting, ...random.shuffled(faults)]
    const atMs = Math.min(...freeAt)
    const slot = freeAt.indexOf(atMs)
    const index = waiting.findIndex((fault) => !schedule.some((other) => collide(fault, atMs, other)))
    if (index < 0) {
      freeAt[slot] = atMs + STEP_MS
      if (freeAt[slot] > durationMs) return schedule
      continue
    }
    const fault = defined(waiting.splice(index, 1)[0], 'fault that was found')
    const scheduled = { fault, atMs, lastsMs: random.int(...fault.lastsMs), seed: random.int(0, 2 ** 31) }
    if (endOf(scheduled) > durationMs && schedule.length > 0) return schedule
    schedule.push(scheduled)
    freeAt[slot] = endOf(scheduled) + random.int(...restMs)
  }
}

function endOf({ fault, atMs, lastsMs }: ScheduledFault): number {
  return atMs + lastsMs + fault.recoveryMs
}

function collide({ disturbs }: Fault, atMs: number, other: ScheduledFault): boolean {
  return endOf(other) > atMs && disturbs.some((part) => other.fault.disturbs.includes(part))
}
