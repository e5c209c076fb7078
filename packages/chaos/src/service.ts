import { createWriteStream } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pause } from '@cashflow/async'
import { describeExit, type Exit, type LogLine, type ServiceProcess, startServiceProcess } from '@cashflow/dev-stack'
import { REPOSITORY } from '@cashflow/testing'

export type Role = 'api' | 'relay' | 'worker'

export interface ServiceOptions {
  role: Role
  /** Such as `worker-2`. */
  name: string
  env: Readonly<Record<string, string>>
  /** For Node, before the service's own file. */
  nodeArguments: readonly string[]
  /** Where all that it writes is kept. */
  logFile: string
}

/** One of the real services as a process that comes back, whatever became of the one before. */
export interface Service {
  readonly role: Role
  readonly name: string
  /** How it ended when nobody had asked it to, or not as it should have when it was asked. */
  readonly exits: readonly string[]
  /** How often each error was logged. */
  readonly errors: ReadonlyMap<string, number>
  /** When it said that RabbitMQ had refused messages, in milliseconds since 1970. */
  readonly refusals: readonly number[]
  /** Idempotent. Does not wait until it is ready: with a server away, that may take until the server is back. */
  start(env?: Readonly<Record<string, string>>): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
  /** SIGTERM, and in the end SIGKILL. Resolves with how it ended: undefined if it did not run. */
  stop(): Promise<Exit | undefined>
  /** SIGSTOP, until `thaw`. */
  freeze(): Promise<void>
  thaw(): Promise<void>
}

/** Longer than any service's own deadline, which is the worker's: PROVIDER_DEADLINE_MS and 15 seconds. */
const STOP_PATIENCE_MS = 60_000
const RESTART_AFTER_MS = 500
/** Of a relay. Between the latter two it says no more of a topic that it refuses. */
const REFUSED = ['messages refused, tried again later', 'topic refused', 'topic accepted again']
/** Code 1 says that a deadline has passed, as it may in bad weather. */
const STOPPED_CODES: readonly (number | null)[] = [0, 1]

export function createService({ role, name, env, nodeArguments, logFile }: ServiceOptions): Service {
  const log = createWriteStream(logFile)
  const exits: string[] = []
  const errors = new Map<string, number>()
  const refusals: number[] = []
  let running: ServiceProcess | undefined
  let wanted = false
  /** Whether the process that runs has said anything: until then it may not hear SIGTERM either. */
  let isAwake = false

  function onLine(line: string, parsed: LogLine | undefined): void {
    isAwake = true
    log.write(`${line}\n`)
    // A line that is no log line counts as an error, except half of one, which a kill leaves behind.
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
      cwd: tmpdir(), // Where no .env of the checkout is.
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
    exits,
    errors,
    refusals,
    async start(extra = {}) {
      wanted = true
      running ??= launch(extra)
    },
    async kill() {
      await end(0)
    },
    async stop() {
      running?.kill('SIGCONT')
      const exit = await end(STOP_PATIENCE_MS)
      const wasHeard = isAwake || exit?.signal !== 'SIGTERM'
      if (wasHeard && exit && !STOPPED_CODES.includes(exit.code))
        exits.push(`${name} ended by ${describeExit(exit)} after SIGTERM`)
      return exit
    },
    async freeze() {
      running?.kill('SIGSTOP')
    },
    async thaw() {
      running?.kill('SIGCONT')
    },
  }
}
