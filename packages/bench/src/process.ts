import { readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeExit, startDaemon } from '@cashflow/dev-stack'
import type { Place } from './place.ts'
import { cpuMs, residentBytes } from './resources.ts'

export interface Running {
  readonly name: string
  readonly pid: number
  /** Where it listens, if it does. */
  readonly url: string
  cpuMs(): number
  residentBytes(): number
  /** SIGTERM. @throws Error when it does not end with code 0 */
  stop(): Promise<void>
}

export interface ProcessOptions {
  /** Unique in its directory: `textbook-worker`. */
  name: string
  /** The Node that runs it. Default: the one that runs this. */
  node?: string
  /** The module that Node runs. It logs JSON lines, `listening` with its `url` where it does, and `ready`. */
  file: string
  place: Pick<Place, 'databaseUrl' | 'brokerUrl'>
  env?: Readonly<Record<string, string>>
  /** Where its log goes. */
  dir: string
}

const START_MS = 120_000
const STOP_MS = 30_000
let started = 0

/** As in production: what is logged there is logged here, into a file, and the same for every variant. */
const SETTINGS = {
  ...{ NODE_ENV: 'production', APP_ENV: 'production', LOG_LEVEL: 'info', PORT: '0' },
  ...{ PROVIDER: 'simulated', SANDBOX: 'yes', PROVIDER_DELAY_MS: '0' },
}

/** Starts a process of its own; resolves when it says that it is ready. */
export async function startProcess(options: ProcessOptions): Promise<Running> {
  const { name, node = process.execPath, file, place, env = {}, dir } = options
  started += 1
  const logFile = join(dir, 'logs', `${String(started).padStart(4, '0')}-${name}.log`)
  rmSync(logFile, { force: true }) // Of another run it would say that this one is ready.
  const daemon = await startDaemon({
    file: node,
    args: [file],
    cwd: tmpdir(), // Where no .env of the checkout is.
    env: {
      PATH: process.env.PATH,
      ...SETTINGS,
      DATABASE_URL: place.databaseUrl,
      RABBITMQ_URL: place.brokerUrl,
      ...env,
    },
    output: { file: logFile },
  })
  const { pid } = daemon
  const failed = (what: string) => new Error(`${name} ${what}; the end of ${logFile}:\n${endOf(logFile)}`)
  async function stop(): Promise<void> {
    const exit = await daemon.stop([{ signal: 'SIGTERM', patienceMs: STOP_MS }])
    if (exit.code !== 0) throw failed(`ended by ${describeExit(exit)}`)
  }
  const deadline = performance.now() + START_MS
  while (!find(logFile, 'ready')) {
    if (!daemon.isRunning()) throw failed('ended before it was ready')
    if (performance.now() > deadline) {
      await daemon.stop([])
      throw failed('was not ready in time')
    }
    await sleep(20)
  }
  const url = find(logFile, 'listening')?.url ?? ''
  return { name, pid, url, stop, cpuMs: () => cpuMs(pid), residentBytes: () => residentBytes(pid) }
}

function find(logFile: string, message: string): { url?: string } | undefined {
  const line = readFileSync(logFile, 'utf8')
    .split('\n')
    .find((text) => text.includes(`"message":"${message}"`))
  return line === undefined ? undefined : JSON.parse(line)
}

/** The last lines of a log. */
export function endOf(logFile: string): string {
  return readFileSync(logFile, 'utf8').split('\n').slice(-10).join('\n')
}
