import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { eventually } from '@cashflow/async'
import { identify, type ProcessIdentity } from '../../src/processes/process-table.ts'
import { readStackFile, type StackFile } from '../../src/stack/state-folder.ts'

const READY_MS = 120_000

export interface Ports {
  postgres: number
  rabbitmq: number
  management: number
}

export interface StackRun {
  pid: number
  /** Its whole output so far. */
  output(): string
  /** Resolves with the content of stack.json once the stack is ready. */
  ready(): Promise<StackFile>
  /** Its exit code or the signal that ended it. */
  exited: Promise<number | NodeJS.Signals>
  kill(signal: NodeJS.Signals): void
}

/** Runs `npm start` with fake services, and with its state in the given folder. */
export function runStack(stateDir: string, ports: Ports, env: Record<string, string>, ...options: 'fresh'[]): StackRun {
  return run('stack-process.ts', stateDir, ports, env, options)
}

/** Runs `npm start` with its own services, and with its state in the given folder. */
export function runCashflow(stateDir: string, ports: Ports, env: Record<string, string>): StackRun {
  return run('cashflow-process.ts', stateDir, ports, env)
}

/** Runs `npm run demo` with its state in the given folder. */
export function runDemo(stateDir: string, startMaxMs?: number): StackRun {
  const options = startMaxMs === undefined ? [] : [String(startMaxMs)]
  return run('demo-process.ts', stateDir, { postgres: 0, rabbitmq: 0, management: 0 }, {}, options)
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
      const file = eventually(
        () => {
          const file = /Cashflow is running|ready after/.test(output)
            ? readStackFile(join(stateDir, 'stack.json'))
            : undefined
          if (!file) throw new Error(`not ready:\n${output}`)
          return file
        },
        { timeoutMs: READY_MS },
      )
      return Promise.race([file, endedEarly])
    },
  }
}

export function processesOf({ processes }: StackFile): ProcessIdentity[] {
  return Object.values(processes)
    .flat()
    .flatMap((pid) => identify(pid) ?? [])
}
