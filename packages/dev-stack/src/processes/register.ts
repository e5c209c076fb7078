import { rmSync } from 'node:fs'
import { pause } from '@cashflow/async'
import * as z from 'zod'
import { readIfThere, writeFileAtomically } from '../files.ts'
import { descendantsOf, identify, isRunning, sendSignal, untilGone } from './process-table.ts'

const registered = z.object({ role: z.string(), pid: z.int().positive(), startedAt: z.string() })

type RegisteredProcess = z.output<typeof registered>

export type Register = ReturnType<typeof openRegister>

/** The order in which roles stop, and the signal that stops them. All other roles are services, and stop first. */
const SERVERS: Readonly<Record<string, { turn: number; signal: NodeJS.Signals }>> = {
  rabbitmq: { turn: 1, signal: 'SIGTERM' },
  epmd: { turn: 2, signal: 'SIGTERM' },
  postgres: { turn: 3, signal: 'SIGINT' },
}
const SERVICE = { turn: 0, signal: 'SIGTERM' } as const

const PATIENCE_MS = 5_000

/** The processes of one stack, in a file that survives this process: the next run stops those that still run. */
export function openRegister(file: string) {
  let known = z.array(registered).parse(JSON.parse(readIfThere(file) ?? '[]'))
  return {
    add(role: string, pid: number) {
      const identity = identify(pid)
      known = known.filter(isRunning)
      if (identity) known.push({ role, ...identity })
      writeFileAtomically(file, `${JSON.stringify(known, null, 2)}\n`)
    },
    running: () => known.filter(isRunning),
    clear() {
      known = []
      rmSync(file, { force: true })
    },
  }
}

/**
 * Stops the processes of a killed stack: services first, the database last.
 *
 * @param patienceMs how long each process has until SIGKILL
 */
export async function stopLeftovers(
  leftovers: RegisteredProcess[],
  log: (line: string) => void,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const turns = Map.groupBy(leftovers, ({ role }) => (SERVERS[role] ?? SERVICE).turn)
  for (const [, processes] of [...turns].sort(([a], [b]) => a - b)) {
    await Promise.all(processes.map((left) => stopLeftover(left, log, patienceMs)))
  }
}

async function stopLeftover(left: RegisteredProcess, log: (line: string) => void, patienceMs: number): Promise<void> {
  log(`stopping ${left.role} (pid ${left.pid}), which an earlier run left behind`)
  const children = descendantsOf(left.pid)
  // Checked before each signal: another process may have this pid by then.
  if (isRunning(left)) sendSignal(left.pid, (SERVERS[left.role] ?? SERVICE).signal)
  const deadline = Date.now() + patienceMs
  while (isRunning(left) && Date.now() < deadline) await pause(20)
  if (isRunning(left)) sendSignal(-left.pid, 'SIGKILL')
  while (isRunning(left)) await pause(20)
  await untilGone(children)
}
