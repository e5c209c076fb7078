import { pause } from '@cashflow/async'
import { appendedTo } from '../files.ts'
import { type DaemonCommand, describeExit, type Exit, spawnDaemon } from './daemon.ts'

/** A line of a service's log. Our own services give a time and a level too; other fields depend on the message. */
export interface LogLine {
  message: string
  level?: string
  time?: string
  [field: string]: unknown
}

export interface ServiceCommand extends Omit<DaemonCommand, 'output' | 'user'> {
  /** Names the process in errors: `worker 2`. */
  name: string
  /** A file for the output, or a function that gets each line of it, parsed if it is a log line. */
  output: { file: string } | { onLine: (line: string, parsed: LogLine | undefined) => void }
}

export type ServiceProcess = ReturnType<typeof startServiceProcess>

const LOOK_AGAIN_MS = 20
const TAIL_LINES = 10

/**
 * Starts a process that logs JSON lines, as all our services do. It uses the `NODE_COMPILE_CACHE` of this process, also if
 * `env` has none.
 */
export function startServiceProcess({ name, output, env, ...command }: ServiceCommand) {
  const log = 'file' in output ? followFile(output.file) : followLines(output.onLine)
  const { NODE_COMPILE_CACHE } = process.env
  const { daemon, spawned } = spawnDaemon({ ...command, env: { NODE_COMPILE_CACHE, ...env }, output: log.output })
  let failure: unknown
  spawned.catch((error) => {
    failure = error
  })
  let exit: Exit | undefined
  void daemon.exited.then((ended) => {
    exit = ended
  })

  return {
    get pid() {
      return daemon.pid
    },
    exited: daemon.exited,
    isRunning: daemon.isRunning,
    kill: daemon.kill,
    /** Sends SIGTERM, and SIGKILL `patienceMs` milliseconds later; with 0, only SIGKILL. */
    stop: (patienceMs: number) => daemon.stop(patienceMs > 0 ? [{ signal: 'SIGTERM', patienceMs }] : []),
    find: log.find,
    /**
     * Resolves with the first line with this message, also if it was logged before the call.
     *
     * @throws Error with the end of the output, when the process ends without it, or after `timeoutMs` (60,000 by
     *   default); the signal's reason when it aborts
     */
    async logged(
      message: string,
      { timeoutMs = 60_000, signal }: { timeoutMs?: number; signal?: AbortSignal } = {},
    ): Promise<LogLine> {
      const deadline = performance.now() + timeoutMs
      const fail = (what: string) => new Error(`${name} ${what} "${message}". The end of its output:\n${log.tail()}`)
      for (;;) {
        signal?.throwIfAborted()
        const ended = exit // Read before the log: all that an ended process wrote is there.
        const line = log.find(message)
        if (line) return line
        if (failure) throw failure
        if (ended) throw fail(`ended (${describeExit(ended)}) before it logged`)
        if (performance.now() > deadline) throw fail('has not logged')
        await pause(LOOK_AGAIN_MS, signal)
      }
    },
  }
}

/** Keeps only the first line of each message, since a process may run for days. */
function followLines(onLine: (line: string, parsed: LogLine | undefined) => void) {
  const first = new Map<string, LogLine>()
  const last: string[] = []
  const take = (line: string) => {
    last.push(line)
    if (last.length > TAIL_LINES) last.shift()
    const parsed = parseLogLine(line)
    if (parsed && !first.has(parsed.message)) first.set(parsed.message, parsed)
    onLine(line, parsed)
  }
  return { output: { onLine: take }, find: (message: string) => first.get(message), tail: () => last.join('\n') }
}

function followFile(file: string) {
  const read = appendedTo(file)
  const lines = () => read().split('\n')
  return {
    output: { file },
    find: (message: string) =>
      lines()
        .filter((line) => line.includes(`"message":${JSON.stringify(message)}`))
        .map(parseLogLine)
        .find((line) => line?.message === message),
    tail: () => lines().slice(-TAIL_LINES).join('\n'),
  }
}

/** Returns undefined for anything else, such as a stack trace, or half of a line that a kill cut off. */
export function parseLogLine(line: string): LogLine | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const parsed = JSON.parse(line) as Partial<LogLine>
    return typeof parsed.message === 'string' ? (parsed as LogLine) : undefined
  } catch {
    return undefined
  }
}
