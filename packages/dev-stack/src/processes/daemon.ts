import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { dieWithUs } from './guard.ts'

export type Exit = { code: number | null; signal: NodeJS.Signals | null }

export function describeExit({ code, signal }: Exit): string {
  return signal ?? `code ${code}`
}

/** A process that we started and answer for. */
export type Daemon = {
  pid: number
  /** Resolves once it has ended and all that it wrote was read. */
  exited: Promise<Exit>
  isRunning(): boolean
  /** Sends the signals one after the other, each when the one before had its time, and SIGKILL last. */
  stop(signals: { signal: NodeJS.Signals; patienceMs: number }[]): Promise<Exit>
}

export type DaemonCommand = {
  file: string
  args: string[]
  env: NodeJS.ProcessEnv
  cwd: string
  /** A file, where the process must outlive us if we are killed: it would die of a pipe that nobody reads. */
  output: { file: string } | { onLine: (line: string) => void }
  user?: { uid: number; gid: number }
  /** Called before anything else can happen, so that no process is ever unknown. */
  onSpawn?: ((pid: number) => void) | undefined
  /** May it run on if this process is killed? Only where somebody will find it again. Default: false. */
  outlive?: boolean | undefined
}

/** Starts a process in a session of its own: a terminal's Ctrl-C then reaches only us, who stop things in order. */
export async function startDaemon(command: DaemonCommand): Promise<Daemon> {
  const { file, args, env, cwd, output, user, onSpawn, outlive } = command
  const sink = 'file' in output ? openLog(output.file) : 'pipe'
  const child = spawn(file, args, { env, cwd, detached: true, stdio: ['ignore', sink, sink], ...user })
  if (child.pid !== undefined) {
    unreaped.add(child.pid)
    const guarded = outlive ? undefined : dieWithUs(child.pid)
    child.once('exit', () => {
      unreaped.delete(child.pid as number)
      guarded?.forget()
    })
    onSpawn?.(child.pid)
  }
  if (typeof sink === 'number') closeSync(sink)
  if ('onLine' in output) {
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', output.onLine)
    }
  }
  await spawned(child)
  return toDaemon(child, child.pid as number)
}

function openLog(file: string): number {
  mkdirSync(dirname(file), { recursive: true })
  return openSync(file, 'a')
}

function spawned(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
}

function toDaemon(child: ChildProcess, pid: number): Daemon {
  const isRunning = () => child.exitCode === null && child.signalCode === null
  const exited = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
  return {
    pid,
    exited,
    isRunning,
    async stop(signals) {
      for (const { signal, patienceMs } of signals) {
        if (!isRunning()) break
        child.kill(signal)
        if (await settlesWithin(patienceMs, exited)) break
      }
      if (isRunning()) killGroup(pid)
      return exited
    },
  }
}

/** When this process exits, its daemons do. (When it is killed they do only if they are guarded.) */
const unreaped = new Set<number>()
process.on('exit', () => {
  for (const pid of unreaped) killGroup(pid)
})

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function settlesWithin(patienceMs: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, patienceMs, false)
  })
  try {
    return await Promise.race([promise.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}
