import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { eventually } from './eventually.ts'
import { REPOSITORY } from './repository.ts'

export interface LogLine {
  service: string
  level: string
  message: string
  [field: string]: unknown
}

export interface ServiceProcess {
  readonly pid: number
  /** Every line that it logged so far. */
  readonly logs: readonly LogLine[]
  /** What it wrote that was no log line, such as a message about its settings. */
  readonly output: readonly string[]
  /** Its exit code once it has ended, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>
  kill(signal: NodeJS.Signals): void
  /** SIGTERM, then its exit code. */
  stop(): Promise<number | NodeJS.Signals>
  /** Resolves with the first line of this message, logged already or not. */
  logged(message: string, options?: { timeoutMs?: number }): Promise<LogLine>
}

/** Starts a service as a process of its own, with these settings only, and arguments for Node. */
export function startService(
  service: 'api' | 'relay' | 'worker',
  env: Record<string, string>,
  nodeArguments: readonly string[] = [],
): ServiceProcess {
  const child = spawn(process.execPath, [...nodeArguments, join(REPOSITORY, `services/${service}/src/main.ts`)], {
    cwd: tmpdir(), // Where no .env of the checkout is.
    // In production a worker has no provider by default, and the simulated one only in a sandbox.
    env: { PATH: process.env.PATH, APP_ENV: 'production', PROVIDER: 'simulated', SANDBOX: 'yes', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const logs: LogLine[] = []
  const output: string[] = []
  collect(child, logs, output)
  const exited = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals)
  return {
    get pid() {
      return child.pid ?? 0
    },
    logs,
    output,
    exited,
    kill: (signal) => void child.kill(signal),
    stop() {
      child.kill('SIGTERM')
      return exited
    },
    logged: (message, options) =>
      eventually(() => {
        const line = logs.find((entry) => entry.message === message)
        if (!line) throw new Error(`${service} has not logged "${message}". Output: ${output.join('\n')}`)
        return line
      }, options),
  }
}

function collect(child: ChildProcess, logs: LogLine[], output: string[]): void {
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue
    createInterface({ input: stream }).on('line', (line) => {
      const entry = parseLine(line)
      if (entry) logs.push(entry)
      else output.push(line)
    })
  }
}

/** Undefined for what is no log line, such as the half of one that a kill cut off. */
function parseLine(line: string): LogLine | undefined {
  try {
    return line.startsWith('{') ? JSON.parse(line) : undefined
  } catch {
    return undefined
  }
}
