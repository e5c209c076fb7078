import { setTimeout as sleep } from 'node:timers/promises'
import { describeExit, startDaemon } from '../processes/daemon.ts'
import type { Running } from '../processes/keep-running.ts'
import { StartError } from '../start-error.ts'
import { parseLogLine } from './log-line.ts'

/** A command that runs until it is stopped, and logs `ready` once it works. */
export type ServiceCommand = {
  file: string
  args: string[]
  cwd: string
  env: NodeJS.ProcessEnv
  /** Where GET must answer 200 as well before it is ready. */
  healthUrl?: string
}

export type ServiceHooks = { onLine(line: string): void; onSpawn(pid: number): void }

/** Longer than the services' own deadlines: the worker's is PROVIDER_DEADLINE_MS, at most a minute, and 15 seconds. */
const STOP_PATIENCE_MS = 80_000
const HEALTH_RETRY_MS = 100
const HEALTH_ANSWER_MS = 5_000

/** Resolves once the service is ready. It may take its time: services wait for their servers, and say so. */
export async function startService(
  label: string,
  { file, args, cwd, env, healthUrl }: ServiceCommand,
  { onLine, onSpawn }: ServiceHooks,
  signal: AbortSignal,
): Promise<Running> {
  const saidReady = Promise.withResolvers<void>()
  const daemon = await startDaemon({
    ...{ file, args, cwd, env, onSpawn, outlive: true },
    output: {
      onLine(line) {
        onLine(line)
        if (parseLogLine(line)?.message === 'ready') saidReady.resolve()
      },
    },
  })
  const stop = () => daemon.stop([{ signal: 'SIGTERM', patienceMs: STOP_PATIENCE_MS }])
  const given = Promise.withResolvers<never>()
  const giveUp = () => given.reject(signal.reason)
  signal.addEventListener('abort', giveUp, { once: true })
  if (signal.aborted) giveUp()
  const died = daemon.exited.then((exit) => {
    throw new StartError(`${label} ended before it was ready (${describeExit(exit)})`)
  })
  const ready = saidReady.promise.then(() => untilHealthy(healthUrl, daemon.isRunning))
  try {
    await Promise.race([ready, died, given.promise])
    return { pid: daemon.pid, exited: daemon.exited, stop }
  } catch (error) {
    await stop()
    throw error
  } finally {
    signal.removeEventListener('abort', giveUp)
    died.catch(() => {})
  }
}

async function untilHealthy(url: string | undefined, isRunning: () => boolean): Promise<void> {
  while (url !== undefined && isRunning()) {
    const response = await fetch(url, { signal: AbortSignal.timeout(HEALTH_ANSWER_MS) }).catch(() => undefined)
    await response?.body?.cancel()
    if (response?.ok) return
    await sleep(HEALTH_RETRY_MS)
  }
}
