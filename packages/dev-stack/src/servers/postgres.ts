import { join } from 'node:path'
import { pause } from '@cashflow/async'
import { appendedTo, readIfThere } from '../files.ts'
import { freePort } from '../ports.ts'
import { type Daemon, type Exit, startDaemon, untilReady } from '../processes/daemon.ts'
import { PortTakenError, StartError } from '../start-error.ts'
import { query } from './postgres-client.ts'
import { createCluster, POSTGRES_ENV, POSTGRES_LOGIN, removeForeignPidFile } from './postgres-cluster.ts'
import {
  claimFiles,
  dataFolder,
  installPrograms,
  type PostgresHome,
  postgresHome,
  removeFiles,
  removeOrphans,
} from './postgres-home.ts'

import type { ServerOptions } from './server-options.ts'

export interface PostgresOptions extends ServerOptions {
  /** Default: a free one. */
  port?: number
  /** Server settings by name, in addition to the defaults. */
  settings?: Record<string, string>
  /** Leaves the data for the next start when the server stops. Default: false. */
  keep?: boolean
}

export type PostgresServer = ReturnType<typeof toServer>

const START_DEADLINE_MS = 60_000
const SETTINGS = { max_connections: '200', log_min_messages: 'warning' }

/**
 * Resolves when the server answers. With the option `keep`, the data stays after `stop()`. SIGKILL never deletes it.
 *
 * @throws PortTakenError if the requested port is in use
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const { dir, keep = false, signal } = options
  const home = postgresHome(dir)
  installPrograms(home)
  removeOrphans(home)
  claimFiles(home, keep)
  await createCluster(home, options)
  removeForeignPidFile(home)

  const deadline = Date.now() + START_DEADLINE_MS
  for (;;) {
    const port = options.port ?? (await freePort())
    const start = await launch(home, port, options, deadline)
    // Returned even if the signal has aborted: the server runs, so the caller has to stop it.
    if ('daemon' in start) return toServer(home, port, start.daemon, keep)
    signal?.throwIfAborted()
    const portTaken = start.output.includes('Address already in use')
    if (portTaken && options.port !== undefined) throw new PortTakenError('PostgreSQL', [port])
    // Either another process took the port first, or the last processes of a killed server still hold its shared memory.
    const passing = portTaken || start.output.includes('shared memory block')
    if (!passing || Date.now() > deadline)
      throw new StartError(`PostgreSQL did not start on port ${port}; from ${logFile(home)}:\n${start.output}`)
    await pause(100, signal)
  }
}

export function removePostgresData(dir: string): void {
  removeFiles(postgresHome(dir))
}

/** Returns the ready server, or the output of one that has not become ready and has ended. */
async function launch(
  home: PostgresHome,
  port: number,
  { settings, onSpawn, outlive, signal }: PostgresOptions,
  deadline: number,
): Promise<{ daemon: Daemon } | { output: string }> {
  const readOutput = appendedTo(logFile(home))
  const daemon = await startDaemon({
    file: join(home.programs, 'bin/postgres'),
    args: [
      ...['-D', dataFolder(home), '-p', String(port), '-c', 'listen_addresses=127.0.0.1'],
      // TCP only: a socket's path may have at most 107 bytes, and a checkout's path may have more.
      ...['-c', 'unix_socket_directories='],
      ...Object.entries({ ...SETTINGS, ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    env: POSTGRES_ENV,
    cwd: home.files,
    output: { file: logFile(home) },
    onSpawn: (pid) => onSpawn?.(pid, 'postgres'),
    outlive,
    ...(home.user && { user: home.user }),
  })
  const works = async () => isReady(home, daemon.pid) && (await answers(port))
  const waiting = { deadlineMs: deadline - Date.now(), intervalMs: 20, signal }
  if (await untilReady(daemon, works, waiting)) return { daemon }
  await stopDaemon(daemon)
  return { output: readOutput() }
}

/** Line 1 of postmaster.pid is the server's pid, line 8 its state. A foreign server may answer on the same port. */
function isReady(home: PostgresHome, pid: number): boolean {
  const lines = readIfThere(join(dataFolder(home), 'postmaster.pid'))?.split('\n')
  return lines?.[0] === String(pid) && lines[7]?.trim() === 'ready'
}

function answers(port: number): Promise<boolean> {
  return query(urlOf(port), 'select 1', { connectionTimeoutMillis: 2000 }).then(
    () => true,
    () => false,
  )
}

function toServer(home: PostgresHome, port: number, daemon: Daemon, keep: boolean) {
  return {
    url: urlOf(port),
    port,
    pid: daemon.pid,
    logFile: logFile(home),
    exited: daemon.exited,
    /** Fast shutdown: open transactions are rolled back, and all data is flushed. */
    async stop() {
      await stopDaemon(daemon)
      if (!keep) removeFiles(home)
    },
  }
}

/** Fast shutdown, then immediate shutdown, in which the postmaster kills its children after 5 s. */
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
