import { setTimeout as sleep } from 'node:timers/promises'
import type { Part } from './fault.ts'
import { createRandom } from './random.ts'
import type { Appointment } from './schedule.ts'
import type { System } from './system.ts'

/** A fault as it was, in milliseconds since 1970. */
export interface Occurrence {
  readonly fault: string
  readonly from: number
  readonly healed: number
  /** It met nothing that it could have broken. */
  readonly noEffect?: boolean
  /** What kept it from being had, or from being undone. */
  readonly failure?: string
}

/**
 * Has each fault at its time, or as soon after as what it disturbs is free. None begins any more once one could not be
 * undone, or `signal` says so; resolves when all that had begun are over.
 */
export async function keepAppointments(
  schedule: readonly Appointment[],
  system: System,
  { say, signal }: { say: (line: string) => void; signal: AbortSignal },
): Promise<Occurrence[]> {
  const from = Date.now()
  const broken = new AbortController()
  const stopping = AbortSignal.any([signal, broken.signal])
  const busy = new Map<Part, Promise<void>>()
  const occurrences: Occurrence[] = []
  const since = () => `${((Date.now() - from) / 1_000).toFixed(1).padStart(7)} s`

  async function have({ fault, lastsMs, seed }: Appointment): Promise<void> {
    if (stopping.aborted) return
    say(`${since()}  ${fault.name}`)
    const began = Date.now()
    const over = () => pauseUntil(Date.now() + lastsMs, stopping)
    const outcome: Pick<Occurrence, 'noEffect' | 'failure'> = await fault
      .run(system, { random: createRandom(seed), over, say: (line) => say(`${since()}  ${fault.name}: ${line}`) })
      .then(
        (effect) => (effect === 'no effect' ? { noEffect: true } : {}),
        (error) => ({ failure: (error as Error).message }),
      )
    if (outcome.failure) broken.abort()
    occurrences.push({ fault: fault.name, from: began, healed: Date.now(), ...outcome })
    say(`${since()}  ${fault.name} ${outcome.failure ? `could not be undone: ${outcome.failure}` : 'is over'}`)
  }

  for (const appointment of schedule) {
    await pauseUntil(from + appointment.atMs, stopping)
    if (stopping.aborted) break
    const { disturbs } = appointment.fault
    const mine = Promise.all(disturbs.map((part) => busy.get(part))).then(() => have(appointment))
    for (const part of disturbs) busy.set(part, mine)
  }
  await Promise.all(busy.values())
  return occurrences
}

export async function pauseUntil(at: number, signal: AbortSignal): Promise<void> {
  await sleep(Math.max(0, at - Date.now()), undefined, { signal }).catch(() => {})
}
