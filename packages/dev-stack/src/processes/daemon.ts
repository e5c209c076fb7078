import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'

export type Exit = { code: number | null; signal: NodeJS.Signals | null }

export type Daemon = {
  pid: number
  exited: Promise<Exit>
  isRunning(): boolean
  /** Sends the signals one after the other, each when the one before had its time, and SIGKILL last. */
  stop(signals: { signal: NodeJS.Signals; patienceMs: number }[]): Promise<Exit>
}

export type DaemonCommand = {
  file: string
  args: string[]
  env: Record<string, string>
  cwd: string
  /** A file rather than a pipe: the process must not die of a reader that was killed. */
  logFile: string
  user?: { uid: number; gid: number }
}

/** Starts a process in a session of its own, so that a terminal's Ctrl-C reaches only us, who stop things in order. */
export async function startDaemon({ file, args, env, cwd, logFile, user }: DaemonCommand): Promise<Daemon> {
  mkdirSync(dirname(logFile), { recursive: true })
  const output = openSync(logFile, 'a')
  try {
    const child = spawn(file, args, { env, cwd, detached: true, stdio: ['ignore', output, output], ...user })
    await spawned(child)
    return toDaemon(child)
  } finally {
    closeSync(output)
  }
}

export function spawned(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
}

export function toDaemon(child: ChildProcess): Daemon {
  const pid = child.pid as number
  const isRunning = () => child.exitCode === null && child.signalCode === null
  // The whole group: a crash of ours must not leave what the process has started.
  const killGroup = () => signalGroup(pid, 'SIGKILL')
  process.once('exit', killGroup)
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      process.off('exit', killGroup)
      resolve({ code, signal })
    })
  })
  return {
    pid,
    exited,
    isRunning,
    async stop(signals) {
      for (const { signal, patienceMs } of signals) {
        if (!isRunning()) break
        child.kill(signal)
        if (await within(patienceMs, exited)) break
      }
      if (isRunning()) killGroup()
      return exited
    },
  }
}

export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function within(patienceMs: number, promise: Promise<unknown>): Promise<boolean> {
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
