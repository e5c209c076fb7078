import { createWriteStream } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pause } from '@cashflow/async'
import { describeExit, type Exit, type LogLine, type ServiceProcess, startServiceProcess } from '@cashflow/dev-stack'
import { REPOSITORY, type Role } from '@cashflow/testing'

/** A part of the product that runs as processes. */
export type ServiceRole = Role | 'webhooks'

export interface ServiceOptions {
  role: ServiceRole
  /** A name such as `worker-2`. */
  name: string
  env: Readonly<Record<string, string>>
  /** Arguments of Node, before the service's main file. */
  nodeArguments: readonly string[]
  /** The file for its whole output. */
  logFile: string
}

export type Service = ReturnType<typeof createService>

/** Longer than the stop deadline of any service. The longest is the worker's: PROVIDER_DEADLINE_MS and 15 seconds. */
const STOP_PATIENCE_MS = 60_000
const RESTART_AFTER_MS = 500
/** Log lines of a relay. It does not log each refusal of a topic between `topic refused` and `topic accepted again`. */
const REFUSED = ['messages refused, tried again later', 'topic refused', 'topic accepted again']
/** Exit codes after SIGTERM. Code 1 means that the stop deadline has passed, which a fault may cause. */
const STOPPED_CODES: readonly (number | null)[] = [0, 1]

/** Creates a real service as a process that is started again whenever it ends. */
export function createService({ role, name, env, nodeArguments, logFile }: ServiceOptions) {
  const log = createWriteStream(logFile)
  const exits: string[] = []
  const errors = new Map<string, number>()
  const refusals: number[] = []
  let running: ServiceProcess | undefined
  let wanted = false
  /** True if the running process has logged a line. Until then it may not handle SIGTERM either. */
  let isAwake = false

  function onLine(line: string, parsed: LogLine | undefined): void {
    isAwake = true
    log.write(`${line}\n`)
    // A line that is not a log line counts as an error. The exception is a partial log line, which a kill leaves
    // behind.
    const error = parsed?.level === 'error' ? parsed.message : !parsed && !line.startsWith('{') ? line : undefined
    if (error !== undefined) errors.set(error, (errors.get(error) ?? 0) + 1)
    if (parsed && REFUSED.includes(parsed.message)) refusals.push(Date.now())
  }

  function launch(extra: Readonly<Record<string, string>>): ServiceProcess {
    isAwake = false
    const service = startServiceProcess({
      name,
      file: process.execPath,
      args: [...nodeArguments, join(REPOSITORY, `services/${role}/src/main.ts`)],
      cwd: tmpdir(), // A folder without the checkout's .env.
      env: { PATH: process.env.PATH, APP_ENV: 'production', ...env, ...extra },
      output: { onLine },
    })
    void service.exited.then(async (exit) => {
      if (!wanted) return
      exits.push(`${name} ended by itself (${describeExit(exit)})`)
      running = undefined
      await pause(RESTART_AFTER_MS)
      if (wanted) running ??= launch(extra)
    })
    return service
  }

  async function end(patienceMs: number): Promise<Exit | undefined> {
    wanted = false
    const service = running
    running = undefined
    return await service?.stop(patienceMs)
  }

  return {
    role,
    name,
    /** How it ended without a signal, or ended unexpectedly after SIGTERM. */
    exits: exits as readonly string[],
    /** Number of times that each error was logged. */
    errors: errors as ReadonlyMap<string, number>,
    /** When it logged that RabbitMQ had refused messages, in milliseconds since 1970. */
    refusals: refusals as readonly number[],
    /** Starts it. Idempotent. Does not wait for `ready`, which may not come before a server is reachable again. */
    async start(extra: Readonly<Record<string, string>> = {}) {
      wanted = true
      running ??= launch(extra)
    },
    /** Ends it with SIGKILL. */
    kill: () => end(0),
    /** Ends it with SIGTERM, and after a deadline with SIGKILL. Resolves with undefined if it did not run. */
    async stop() {
      running?.kill('SIGCONT')
      const exit = await end(STOP_PATIENCE_MS)
      const wasHeard = isAwake || exit?.signal !== 'SIGTERM'
      if (wasHeard && exit && !STOPPED_CODES.includes(exit.code))
        exits.push(`${name} ended by ${describeExit(exit)} after SIGTERM`)
      return exit
    },
    /** Stops it with SIGSTOP, until `thaw`. */
    freeze: () => running?.kill('SIGSTOP'),
    thaw: () => running?.kill('SIGCONT'),
  }
}
