import { globSync } from 'node:fs'
import { chmod, mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defined } from '@cashflow/async'
import {
  describeExit,
  fetchDebianPackage,
  findOnPath,
  freePorts,
  onPorts,
  PortTakenError,
  startDaemon,
  untilReady,
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
  await using unfinished = new AsyncDisposableStack()
  const { path: folder } = unfinished.use(await mkdtempDisposable(join(tmpdir(), 'cashflow-pgbouncer-')))
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
    const isUp = async () => lines.some((line) => line.includes('process up'))
    if (await untilReady(daemon, isUp, { deadlineMs: 60_000, intervalMs: 20 })) return daemon
    const exit = await daemon.stop([])
    if (lines.join().includes('Address already in use')) throw new PortTakenError('PgBouncer', [Number(port)])
    throw new Error(`PgBouncer did not start (${describeExit(exit)}):\n${lines.join('\n')}`)
  }
  const { ports, server } = await onPorts(() => freePorts(1), start)
  unfinished.defer(async () => void (await server.stop([{ signal: 'SIGTERM', patienceMs: 5_000 }])))
  const url = new URL(databaseUrl)
  url.host = `127.0.0.1:${ports[0]}`
  url.search = ''
  const running = unfinished.move()
  /** `url` is the URL of the same database, through PgBouncer. */
  return { url: url.href, stop: () => running.disposeAsync() }
}

/**
 * Finds PgBouncer: an installed one, or else Debian's, which apt-get downloads.
 *
 * @throws Error where there is neither
 */
async function fetchPgbouncer(): Promise<{ file: string; env: NodeJS.ProcessEnv }> {
  const installed = findOnPath('pgbouncer', ['/usr/sbin'])
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
