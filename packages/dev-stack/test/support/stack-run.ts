import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { identify, type ProcessIdentity } from '../../src/processes/identity.ts'
import { readStackFile, type StackFile } from '../../src/stack/stack-file.ts'
import { eventually } from './eventually.ts'

const STACK_PROCESS = join(import.meta.dirname, 'stack-process.ts')

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
  const child = spawn(process.execPath, [STACK_PROCESS, stateDir, JSON.stringify(ports), ...options], {
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
