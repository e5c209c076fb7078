import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { identify, type ProcessIdentity } from '../../src/processes/process-table.ts'
import { readStackFile, type StackFile } from '../../src/stack/stack-file.ts'
import { eventually } from './eventually.ts'

const READY_MS = 120_000

export type Ports = { postgres: number; rabbitmq: number; management: number }

export type StackRun = {
  pid: number
  /** All that it has printed. */
  output(): string
  /** What stack.json says, once it is there. */
  ready(): Promise<StackFile>
  /** Resolves with its exit code or the signal that ended it. */
  exited: Promise<number | NodeJS.Signals>
  kill(signal: NodeJS.Signals): void
}

/** `npm start` with fake services, and its state in the folder given. */
export function runStack(stateDir: string, ports: Ports, env: Record<string, string>, ...options: 'fresh'[]): StackRun {
  return run('stack-process.ts', stateDir, ports, env, options)
}

/** `npm start` with its own services, and its state in the folder given. */
export function runCashflow(stateDir: string, ports: Ports, env: Record<string, string>): StackRun {
  return run('cashflow-process.ts', stateDir, ports, env)
}

function run(
  script: string,
  stateDir: string,
  ports: Ports,
  env: Record<string, string>,
  options: string[] = [],
): StackRun {
  const args = [join(import.meta.dirname, script), stateDir, JSON.stringify(ports), ...options]
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data))
  const exited = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals)
  const endedEarly = exited.then((exit) => {
    throw new Error(`ended with ${exit}:\n${output}`)
  })
  endedEarly.catch(() => {})
  return {
    pid: child.pid as number,
    output: () => output,
    exited,
    kill: (signal) => void child.kill(signal),
    ready() {
      const told = eventually(() => {
        const file = output.includes('Cashflow is running') ? readStackFile(join(stateDir, 'stack.json')) : undefined
        if (!file) throw new Error(`not ready:\n${output}`)
        return file
      }, READY_MS)
      return Promise.race([told, endedEarly])
    },
  }
}

export function processesOf({ processes }: StackFile): ProcessIdentity[] {
  return Object.values(processes)
    .flat()
    .flatMap((pid) => identify(pid) ?? [])
}
