import { setTimeout as sleep } from 'node:timers/promises'
import { descendantsOf, isRunning, untilGone } from './process-table.ts'
import type { RegisteredProcess } from './register.ts'

/** Who is stopped when, and how it is asked. What is not named here is a service, and goes first. */
const SERVERS: Readonly<Record<string, { turn: number; signal: NodeJS.Signals }>> = {
  rabbitmq: { turn: 1, signal: 'SIGTERM' },
  epmd: { turn: 2, signal: 'SIGTERM' },
  postgres: { turn: 3, signal: 'SIGINT' },
}
const SERVICE = { turn: 0, signal: 'SIGTERM' } as const

const PATIENCE_MS = 5_000

/**
 * Stops what a killed stack left running: services first, the database last.
 *
 * @param patienceMs how long each of them has until SIGKILL
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
  const helpers = descendantsOf(left.pid)
  send(left, (SERVERS[left.role] ?? SERVICE).signal, left.pid)
  const deadline = Date.now() + patienceMs
  while (isRunning(left) && Date.now() < deadline) await sleep(20)
  send(left, 'SIGKILL', -left.pid)
  while (isRunning(left)) await sleep(20)
  await untilGone(helpers)
}

/** Only to the very process that was registered: its pid may be another's by now. */
function send(left: RegisteredProcess, signal: NodeJS.Signals, target: number): void {
  if (!isRunning(left)) return
  try {
    process.kill(target, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
