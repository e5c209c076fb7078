import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../ports.ts'
import { type Daemon, type Exit, startDaemon } from '../processes/daemon.ts'
import { PortTakenError, StartError } from '../start-error.ts'
import { openClient } from './postgres-client.ts'
import { createCluster, dataFolder, forgetForeignPid, POSTGRES_ENV, POSTGRES_LOGIN } from './postgres-cluster.ts'
import type { SmallDisk } from './postgres-disk.ts'
import { installPrograms, type PostgresHome, postgresHome } from './postgres-home.ts'
import { claimFiles, removeFiles, removeOrphans } from './postgres-owner.ts'

export type PostgresOptions = {
  /** Data and log live under it; as root, in a folder of its own under /var/tmp. */
  dir: string
  /** Default: a free one. */
  port?: number
  /** Server settings by name, over the defaults. */
  settings?: Record<string, string>
  /** Told what takes time. */
  log?: (line: string) => void
  /** Whether `stop()` leaves the data for the next start. Default: false. */
  keep?: boolean
  /** Puts data and log of a new server on a disk of this size, where that can be had, which goes with them. */
  diskMb?: number
  /** Told of the server's process at once, so that it can be found again if this process is killed. */
  onSpawn?: (pid: number) => void
  /** Whether the server may run on if this process is killed, because somebody will find it again. Default: false. */
  outlive?: boolean
  /** Gives up starting. */
  signal?: AbortSignal
}

export type PostgresServer = {
  url: string
  port: number
  pid: number
  logFile: string
  /** Where one was asked for and can be had. */
  smallDisk?: SmallDisk
  exited: Promise<Exit>
  /** Fast shutdown: open transactions are rolled back, all is flushed. */
  stop(): Promise<void>
}

const START_DEADLINE_MS = 60_000
const SETTINGS = { max_connections: '200', log_min_messages: 'warning' }

/**
 * Resolves when the server answers. The data survives `keep: true`, and kill -9 in any case.
 *
 * @throws PortTakenError if the port that was asked for is another's
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const { dir, keep = false, signal } = options
  const home = postgresHome(dir)
  installPrograms(home)
  removeOrphans(home)
  const smallDisk = claimFiles(home, options)
  await createCluster(home, options)
  forgetForeignPid(home)

  const deadline = Date.now() + START_DEADLINE_MS
  for (;;) {
    const port = options.port ?? (await freePort())
    const start = await launch(home, port, options, deadline)
    // Before the signal is heard: it runs, so it is the caller's to stop.
    if (start.outcome === 'ready') {
      return { ...toServer(home, port, start.daemon, keep), ...(smallDisk && { smallDisk }) }
    }
    signal?.throwIfAborted()
    if (start.outcome === 'port taken' && options.port !== undefined) throw new PortTakenError('PostgreSQL', [port])
    const passing = start.outcome === 'memory in use' || start.outcome === 'port taken'
    if (!passing || Date.now() > deadline) {
      throw new StartError(
        `PostgreSQL did not start on port ${port} (${start.outcome}); from ${logFile(home)}:\n${start.said}`,
      )
    }
    await sleep(100)
  }
}

/** Of a server that is not running. */
export function removePostgresData(dir: string): void {
  removeFiles(postgresHome(dir))
}

type Launch =
  | { outcome: 'ready'; daemon: Daemon }
  | { outcome: 'port taken' | 'memory in use' | 'failed'; said: string }

async function launch(
  home: PostgresHome,
  port: number,
  { settings, onSpawn, outlive, signal }: PostgresOptions,
  deadline: number,
): Promise<Launch> {
  const logged = statSync(logFile(home), { throwIfNoEntry: false })?.size ?? 0
  const daemon = await startDaemon({
    file: join(home.programs, 'bin/postgres'),
    args: [
      ...['-D', dataFolder(home), '-p', String(port), '-c', 'listen_addresses=127.0.0.1'],
      // TCP only: a socket's path may have 107 bytes, and a checkout's path more.
      ...['-c', 'unix_socket_directories='],
      ...Object.entries({ ...SETTINGS, ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    env: POSTGRES_ENV,
    cwd: home.files,
    output: { file: logFile(home) },
    onSpawn,
    outlive,
    ...(home.user && { user: home.user }),
  })
  while (daemon.isRunning() && Date.now() < deadline && !signal?.aborted) {
    if (saysReady(home, daemon.pid) && (await answers(port))) return { outcome: 'ready', daemon }
    await sleep(20)
  }
  await stopDaemon(daemon)
  const said = readFileSync(logFile(home)).subarray(logged).toString()
  // Somebody was faster; or the last processes of a killed server still hold its shared memory.
  if (said.includes('Address already in use')) return { outcome: 'port taken', said }
  if (said.includes('shared memory block')) return { outcome: 'memory in use', said }
  return { outcome: 'failed', said }
}

/** postmaster.pid tells our server from another one that answers on the same port: line 1 its pid, line 8 its state. */
function saysReady(home: PostgresHome, pid: number): boolean {
  try {
    const lines = readFileSync(join(dataFolder(home), 'postmaster.pid'), 'utf8').split('\n')
    return lines[0] === String(pid) && lines[7]?.trim() === 'ready'
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

async function answers(port: number): Promise<boolean> {
  try {
    const client = await openClient(urlOf(port), { connectionTimeoutMillis: 2000 })
    await client.end()
    return true
  } catch {
    return false
  }
}

function toServer(home: PostgresHome, port: number, daemon: Daemon, keep: boolean): PostgresServer {
  return {
    url: urlOf(port),
    port,
    pid: daemon.pid,
    logFile: logFile(home),
    exited: daemon.exited,
    async stop() {
      await stopDaemon(daemon)
      if (!keep) removeFiles(home)
    },
  }
}

/** Fast, then immediate shutdown; the postmaster itself kills its children after 5 s of the latter. */
function stopDaemon(daemon: Daemon): Promise<Exit> {
  return daemon.stop([
    { signal: 'SIGINT', patienceMs: 10_000 },
    { signal: 'SIGQUIT', patienceMs: 7_000 },
  ])
}

function urlOf(port: number): string {
  return `postgres://${POSTGRES_LOGIN.user}:${POSTGRES_LOGIN.password}@127.0.0.1:${port}/postgres`
}

function logFile(home: PostgresHome): string {
  return join(home.files, 'postgres.log')
}
