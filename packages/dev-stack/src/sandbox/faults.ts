import { errorMessage, pause } from '@cashflow/async'
import type { LogPrinter } from '../log-printer.ts'
import type { KeptRunning } from '../processes/keep-running.ts'
import { identify, sendSignal } from '../processes/process-table.ts'
import { FAULT_PARTS, type FaultKind, type FaultPart, partOf } from './fault-kinds.ts'
import { type Freeze, startFreeze } from './freeze.ts'
import { SandboxRefusal } from './refusal.ts'
import type { FaultBody } from './requests.ts'

const LOOK_AGAIN_MS = 100

/** A process that this stack runs, and starts again after its death. */
export type FaultTarget = Pick<KeptRunning, 'pid'>

/** A fault in progress. Times are ISO 8601. */
export interface FaultState {
  readonly kind: FaultKind
  readonly started_at: string
  /** Null for a kill: it ends when the process runs again. */
  readonly ends_at: string | null
}

interface Fault {
  readonly state: FaultState
  /** Resolves when the part works again. */
  readonly ended: Promise<void>
  /** Ends the fault now, as far as a stop of the stack needs it. */
  undo(): Promise<void>
}

interface FaultOptions {
  /** The processes of each part that can be broken. */
  targets: Readonly<Record<FaultPart, readonly FaultTarget[]>>
  /** The parts that a signal can freeze. */
  freezable: readonly FaultPart[]
  log: LogPrinter['log']
}

export type Faults = ReturnType<typeof createFaults>

/** Kills and freezes parts of a stack, one fault at a time for each part. Each fault is undone. */
export function createFaults({ targets, freezable, log }: FaultOptions) {
  const closing = new AbortController()
  const inProgress = new Map<FaultPart, Fault | 'beginning'>()
  let lastEndedAt: number | undefined

  const kinds = FAULT_PARTS.filter((part) => targets[part].length > 0).flatMap((part): FaultKind[] =>
    freezable.includes(part) ? [`kill-${part}`, `freeze-${part}`] : [`kill-${part}`],
  )

  async function begin({ kind, seconds }: FaultBody): Promise<FaultState> {
    const part = partOf(kind)
    if (!kinds.includes(kind)) throw new SandboxRefusal(409, `This stack does not allow ${kind}.`)
    if (closing.signal.aborted) throw new SandboxRefusal(409, 'The stack is stopping.')
    if (inProgress.has(part)) throw new SandboxRefusal(409, `A fault of the ${part} is in progress.`)
    const target = targets[part].find(({ pid }) => pid() !== undefined)
    const victim = identify(target?.pid() ?? 0)
    if (!target || !victim) throw new SandboxRefusal(409, `No ${part} runs at the moment.`)
    inProgress.set(part, 'beginning')
    try {
      const fault = seconds === undefined ? kill(kind, target, victim.pid) : await freeze(kind, victim, seconds)
      inProgress.set(part, fault)
      log('warn', `sandbox: ${kind}`, { pid: victim.pid, ...(seconds !== undefined && { seconds }) })
      void fault.ended.then(() => end(kind))
      return fault.state
    } catch (error) {
      end(kind)
      throw error
    }
  }

  function end(kind: FaultKind): void {
    inProgress.delete(partOf(kind))
    lastEndedAt = Date.now()
    log('info', `sandbox: ${kind} has ended`)
  }

  function kill(kind: FaultKind, target: FaultTarget, pid: number): Fault {
    const state = { kind, started_at: new Date().toISOString(), ends_at: null }
    sendSignal(pid, 'SIGKILL')
    return { state, ended: untilReplaced(target, pid), undo: async () => {} }
  }

  async function untilReplaced(target: FaultTarget, pid: number): Promise<void> {
    while (!closing.signal.aborted && (target.pid() ?? pid) === pid) await pause(LOOK_AGAIN_MS, closing.signal)
  }

  return {
    kinds,
    begin,
    state: (): FaultState[] => beganOf(inProgress).map(({ state }) => state),
    /** End of the last fault, infinite during one, in milliseconds since 1970. Zero if there was none. */
    quietSince: (): number => (inProgress.size > 0 ? Number.POSITIVE_INFINITY : (lastEndedAt ?? 0)),
    /** Undoes all faults, and begins no more: a process that is stopped would not end. */
    async close(): Promise<void> {
      closing.abort()
      // One that is beginning has its freezer already, and is undone when it has begun.
      while (inProgress.size > 0) {
        await Promise.all(beganOf(inProgress).map(({ undo }) => undo().catch(report)))
        await pause(LOOK_AGAIN_MS / 10)
      }
    },
  }

  function report(error: unknown): void {
    log('error', 'sandbox: a fault could not be undone', { error: errorMessage(error) })
  }
}

async function freeze(kind: FaultKind, victim: Parameters<typeof startFreeze>[0], seconds: number): Promise<Fault> {
  const state = {
    kind,
    started_at: new Date().toISOString(),
    ends_at: new Date(Date.now() + seconds * 1_000).toISOString(),
  }
  const { ended, undo }: Freeze = await startFreeze(victim, seconds * 1_000)
  return { state, ended, undo }
}

function beganOf(inProgress: ReadonlyMap<FaultPart, Fault | 'beginning'>): Fault[] {
  return [...inProgress.values()].filter((fault) => fault !== 'beginning')
}
