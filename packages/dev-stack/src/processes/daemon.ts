import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { defined, pause, within } from '@cashflow/async'
import { sendSignal } from './process-table.ts'

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

export function describeExit({ code, signal }: Exit): string {
  return signal ?? `code ${code}`
}

/** A process that this one started. */
export type Daemon = ReturnType<typeof toDaemon>

export interface DaemonCommand {
  file: string
  args: string[]
  env: NodeJS.ProcessEnv
  cwd: string
  /** A file costs this process no work, and its writer survives this process: writing to a closed pipe would end it. */
  output: { file: string } | { onLine: (line: string) => void }
  user?: { uid: number; gid: number }
  /** Called in the tick in which the process starts, so that no process is ever unknown. */
  onSpawn?: ((pid: number) => void) | undefined
  /** Lets it run on when this process ends: the caller registers it, and stops it later. Default: false. */
  outlive?: boolean | undefined
}

/**
 * Starts a process in a session of its own, so that a terminal's Ctrl-C reaches only this process, which stops its
 * daemons in order. Unless `outlive` is set, the daemon's process group is killed when this process ends.
 *
 * @throws Error when the program cannot be started, such as ENOENT
 */
export async function startDaemon(command: DaemonCommand): Promise<Daemon> {
  const { daemon, spawned } = spawnDaemon(command)
  await spawned
  return daemon
}

/** Repeats `isReady` until it is true. Returns false if the daemon ends, the signal aborts or the time passes first. */
export async function untilReady(
  daemon: Daemon,
  isReady: () => Promise<boolean>,
  { deadlineMs, intervalMs, signal }: { deadlineMs: number; intervalMs: number; signal?: AbortSignal | undefined },
): Promise<boolean> {
  const deadline = Date.now() + deadlineMs
  while (daemon.isRunning() && Date.now() < deadline && !signal?.aborted) {
    if (await isReady()) return true
    await pause(intervalMs, signal)
  }
  return false
}

/** Starts a daemon as `startDaemon` does, but returns at once. `spawned` rejects when the program cannot be started. */
export function spawnDaemon(command: DaemonCommand): { daemon: Daemon; spawned: Promise<void> } {
  const { file, args, env, cwd, output, user, onSpawn, outlive } = command
  const sink = 'file' in output ? openLog(output.file) : 'pipe'
  const child = spawn(file, args, { env, cwd, detached: true, stdio: ['ignore', sink, sink], ...user })
  const spawned = new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject))
  if (child.pid !== undefined) {
    if (!outlive) killWithThisProcess(child, child.pid)
    onSpawn?.(child.pid)
  }
  if (typeof sink === 'number') closeSync(sink)
  if ('onLine' in output) {
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', output.onLine)
    }
  }
  return { daemon: toDaemon(child), spawned }
}

function openLog(file: string): number {
  mkdirSync(dirname(file), { recursive: true })
  return openSync(file, 'a')
}

/**
 * Starts a shell that outlives this process by a moment. Every end of this process, even SIGKILL, closes the shell's
 * input. The shell then kills the daemon's group.
 */
function killWithThisProcess(child: ChildProcess, group: number): void {
  const script = 'read -r _; kill -s KILL -- "-$0" 2>/dev/null'
  const guard = spawn('sh', ['-c', script, String(group)], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  // The shell must not keep this process alive, and its own death must not end this process.
  guard.unref()
  if ('unref' in guard.stdin) (guard.stdin as unknown as { unref(): void }).unref()
  for (const source of [guard, guard.stdin]) source.on('error', () => {})
  child.once('exit', () => guard.kill('SIGKILL'))
}

function toDaemon(child: ChildProcess) {
  const isRunning = () => child.exitCode === null && child.signalCode === null
  const exited = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
  return {
    get pid() {
      return defined(child.pid, `pid of ${child.spawnfile}, which could not be started`)
    },
    /** Resolves once it has ended and all its output has been read. */
    exited,
    isRunning,
    kill: (signal: NodeJS.Signals) => void child.kill(signal),
    /** Sends the signals one after the other, each with its patience. What still runs then gets SIGKILL. */
    async stop(signals: { signal: NodeJS.Signals; patienceMs: number }[]) {
      for (const { signal, patienceMs } of signals) {
        if (!isRunning()) break
        child.kill(signal)
        await within(exited, { deadlineMs: patienceMs, what: `ending at ${signal}` }).catch(() => {})
      }
      if (isRunning()) sendSignal(-defined(child.pid, 'pid of a running process'), 'SIGKILL')
      return exited
    },
  }
}
