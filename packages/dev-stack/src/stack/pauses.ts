import type { LogPrinter } from '../log-printer.ts'
import type { LogLine } from '../processes/service-process.ts'
import type { ServiceName } from './context.ts'

/** A pause as the processes of its component log it. */
interface Pause {
  readonly by: unknown
  readonly reason: unknown
  readonly until: unknown
}

/** Follows the pauses in the services' logs. Prints one line when one begins, and one when it has ended, for all processes. */
export function createPauses({ log }: LogPrinter) {
  const inForce = new Map<ServiceName, Pause>()
  /** Labels of the processes that have logged a pause since their start. */
  const paused = new Set<string>()

  function begin(name: ServiceName, { by, reason, until }: LogLine): void {
    const pause = { by, reason, until }
    if (JSON.stringify(inForce.get(name)) === JSON.stringify(pause)) return
    inForce.set(name, pause)
    log('warn', `the ${name}s are paused, "npm run cashflow -- resume ${name}" ends it`, pause)
  }

  function end(name: ServiceName): void {
    if (inForce.delete(name)) log('info', `the ${name}s are not paused any more`)
  }

  return {
    /** The pauses in force, by component. */
    inForce: inForce as ReadonlyMap<ServiceName, Pause>,
    /** Has to be called before a process starts, also again. */
    onStart: (label: string): void => void paused.delete(label),
    /** Has to be called with each line of a service. */
    onLine(name: ServiceName, label: string, line: LogLine | undefined): void {
      if (line?.message === 'paused by an operator') {
        paused.add(label)
        begin(name, line)
      } else if (line?.message === 'resumed') {
        paused.delete(label)
        end(name)
      } else if (line?.message === 'ready' && !paused.has(label)) end(name) // It has ended while no process ran.
    },
  }
}
