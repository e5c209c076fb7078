import { errorMessage, pause } from '@cashflow/async'
import type { SystemPart } from './fault.ts'
import { createRandom } from './random.ts'
import type { ScheduledFault } from './schedule.ts'
import type { System } from './system.ts'

/** A fault that ran. Times are in milliseconds since 1970. */
export interface FaultRun {
  readonly fault: string
  readonly from: number
  /** When the fault was undone. */
  readonly recoveredAt: number
  /** True when the fault hit nothing. */
  readonly noEffect?: boolean
  /** Why the fault could not be caused, or not be undone. */
  readonly failure?: string
}

/**
 * Runs each fault at its time, or as soon after it as the parts that it disturbs are free. Starts no more faults when one
 * could not be undone, or when `signal` aborts. Resolves when all faults that began have ended.
 */
export async function runSchedule(
  schedule: readonly ScheduledFault[],
  system: System,
  { say, signal }: { say: (line: string) => void; signal: AbortSignal },
): Promise<FaultRun[]> {
  const from = Date.now()
  const broken = new AbortController()
  const stopping = AbortSignal.any([signal, broken.signal])
  /** The last fault that was started for each part. */
  const busy = new Map<SystemPart, Promise<void>>()
  const faultRuns: FaultRun[] = []
  const log = (line: string) => say(`${((Date.now() - from) / 1_000).toFixed(1).padStart(7)} s  ${line}`)

  async function run({ fault, lastsMs, seed }: ScheduledFault): Promise<void> {
    if (stopping.aborted) return
    log(fault.name)
    const began = Date.now()
    const outcome: Pick<FaultRun, 'noEffect' | 'failure'> = await fault
      .run(system, {
        random: createRandom(seed),
        untilEnd: () => pauseUntil(Date.now() + lastsMs, stopping),
        say: (line) => log(`${fault.name}: ${line}`),
      })
      .then(
        (effect) => (effect === 'no effect' ? { noEffect: true } : {}),
        (error) => ({ failure: errorMessage(error) }),
      )
    if (outcome.failure !== undefined) broken.abort()
    faultRuns.push({ fault: fault.name, from: began, recoveredAt: Date.now(), ...outcome })
    log(`${fault.name} ${outcome.failure === undefined ? 'has ended' : `could not be undone: ${outcome.failure}`}`)
  }

  for (const scheduled of schedule) {
    await pauseUntil(from + scheduled.atMs, stopping)
    if (stopping.aborted) break
    const { disturbs } = scheduled.fault
    const running = Promise.all(disturbs.map((part) => busy.get(part))).then(() => run(scheduled))
    for (const part of disturbs) busy.set(part, running)
  }
  await Promise.all(busy.values())
  return faultRuns
}

export async function pauseUntil(at: number, signal: AbortSignal): Promise<void> {
  await pause(Math.max(0, at - Date.now()), signal)
}
