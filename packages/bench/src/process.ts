import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeExit, startServiceProcess } from '@cashflow/dev-stack'
import type { Place } from './place.ts'

export type Running = Awaited<ReturnType<typeof startProcess>>

export interface ProcessOptions {
  /** A unique name, such as `textbook-worker`. */
  name: string
  /** Path of the Node that runs it. Default: the Node of this process. */
  node?: string
  /**
   * The module that Node runs. It logs JSON lines: `ready`, and before it `listening` with its `url` if it has a
   * server.
   */
  file: string
  place: Pick<Place, 'databaseUrl' | 'brokerUrl'>
  env?: Readonly<Record<string, string>>
  /** The folder of its log. */
  dir: string
}

const START_MS = 120_000
const STOP_MS = 30_000

/** Settings as in production. Every variant logs at the same level, into a file. */
const SETTINGS = {
  NODE_ENV: 'production',
  APP_ENV: 'production',
  LOG_LEVEL: 'info',
  PORT: '0',
  PROVIDER: 'simulated',
  SANDBOX: 'yes',
  AUTH: 'none',
  ALLOW_UNAUTHENTICATED: 'yes',
  PROVIDER_DELAY_MS: '0',
}

/** Starts a process. Resolves when it has logged `ready`. */
export async function startProcess(options: ProcessOptions) {
  const { name, node = process.execPath, file, place, env = {}, dir } = options
  const logFile = join(dir, 'logs', `${new Date().toISOString().replaceAll(':', '')}-${name}.log`)
  const service = startServiceProcess({
    name,
    file: node,
    args: [file],
    cwd: tmpdir(), // A folder without the checkout's .env.
    env: {
      PATH: process.env.PATH,
      ...SETTINGS,
      DATABASE_URL: place.databaseUrl,
      RABBITMQ_URL: place.brokerUrl,
      ...env,
    },
    output: { file: logFile },
  })
  /** Stops it with SIGTERM. @throws Error when its exit code is not 0 */
  async function stop(): Promise<void> {
    const exit = await service.stop(STOP_MS)
    if (exit.code !== 0)
      throw new Error(`${name} ended by ${describeExit(exit)}; the end of ${logFile}:\n${endOf(logFile)}`)
  }
  try {
    await service.logged('ready', { timeoutMs: START_MS })
  } catch (error) {
    await service.stop(0)
    throw error
  }
  return {
    pid: service.pid,
    /** The address of its HTTP server. Empty for a process without one. */
    url: String(service.find('listening')?.url ?? ''),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** Returns the last lines of a log. */
export function endOf(logFile: string): string {
  return readFileSync(logFile, 'utf8').split('\n').slice(-10).join('\n')
}
