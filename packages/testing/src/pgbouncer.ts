import { existsSync, globSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defined, eventually } from '@cashflow/async'
import {
  type Daemon,
  describeExit,
  fetchDebianPackage,
  findOnPath,
  freePorts,
  onPorts,
  PortTakenError,
  startDaemon,
} from '@cashflow/dev-stack'

export type Pgbouncer = Awaited<ReturnType<typeof startPgbouncer>>

interface PgbouncerOptions {
  poolMode: 'session' | 'transaction' | 'statement'
  /** Settings of the section [pgbouncer], by name. */
  settings?: Record<string, string>
}

/**
 * Starts a PgBouncer in front of a server. Settings that are not given have PgBouncer's defaults.
 *
 * @param databaseUrl a database's URL with user and password; its `?host=` is the folder of the server's Unix socket
 */
export async function startPgbouncer(databaseUrl: string, options: PgbouncerOptions) {
  const program = await fetchPgbouncer()
  const folder = await mkdtemp(join(tmpdir(), 'cashflow-pgbouncer-'))
  const removeFolder = () => rm(folder, { recursive: true, force: true })
  const start = async ([port]: number[]) => {
    const lines: string[] = []
    const configFile = await configure(folder, databaseUrl, defined(port, 'free port'), options)
    const isRoot = process.getuid?.() === 0
    const daemon = await startDaemon({
      ...program,
      // PgBouncer refuses to run as root, but root may start it as another user.
      args: [...(isRoot ? ['-u', 'nobody'] : []), configFile],
      cwd: folder,
      output: { onLine: (line) => lines.push(line) },
    })
    if (await isUp(daemon, lines)) return daemon
    const exit = await daemon.stop([])
    if (lines.join().includes('Address already in use')) throw new PortTakenError('PgBouncer', [Number(port)])
    throw new Error(`PgBouncer did not start (${describeExit(exit)}):\n${lines.join('\n')}`)
  }
  try {
    const { ports, server } = await onPorts(() => freePorts(1), start)
    const url = new URL(databaseUrl)
    url.host = `127.0.0.1:${ports[0]}`
    url.search = ''
    return {
      /** The URL of the same database, through PgBouncer. */
      url: url.href,
      async stop() {
        await server.stop([{ signal: 'SIGTERM', patienceMs: 5_000 }])
        await removeFolder()
      },
    }
  } catch (error) {
    await removeFolder()
    throw error
  }
}

/**
 * Finds PgBouncer: an installed one, or else Debian's, which apt-get downloads.
 *
 * @throws Error where there is neither
 */
async function fetchPgbouncer(): Promise<{ file: string; env: NodeJS.ProcessEnv }> {
  const installed = findOnPath('pgbouncer') ?? ['/usr/sbin/pgbouncer'].find(existsSync)
  if (installed) return { file: installed, env: {} }
  const folder = await fetchDebianPackage('pgbouncer', { log: (line) => process.stderr.write(`${line}\n`) })
  if (!folder) throw new Error('PgBouncer is not installed: put pgbouncer on the PATH')
  const libraries = globSync(`${folder}/{lib,usr/lib}/*-linux-gnu*`)
  return { file: `${folder}/usr/sbin/pgbouncer`, env: { LD_LIBRARY_PATH: libraries.join(':') } }
}

async function configure(folder: string, databaseUrl: string, port: number, options: PgbouncerOptions) {
  const { hostname, port: serverPort, username, password, searchParams } = new URL(databaseUrl)
  const host = searchParams.get('host') ?? hostname
  const users = join(folder, 'users.txt')
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: String(port),
    unix_socket_dir: '',
    auth_type: 'trust',
    auth_file: users,
    pool_mode: options.poolMode,
    ...options.settings,
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
  const file = join(folder, 'pgbouncer.ini')
  await writeFile(file, `[databases]\n* = host=${host} port=${serverPort}\n[pgbouncer]\n${lines.join('\n')}\n`)
  await writeFile(users, `"${username}" "${password}"\n`)
  await chmod(folder, 0o755) // Started by root, PgBouncer reads the files as another user.
  return file
}

/** Resolves with true when the log says that PgBouncer listens, and with false when PgBouncer has ended. */
async function isUp(daemon: Daemon, lines: readonly string[]): Promise<boolean> {
  return eventually(() => {
    if (!daemon.isRunning()) return false
    if (lines.some((line) => line.includes('process up'))) return true
    throw new Error(`PgBouncer does not say that it is up:\n${lines.join('\n')}`)
  })
}
