import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Daemon, describeExit, fetchPgbouncer, freePorts, startDaemon } from '@cashflow/dev-stack'
import { eventually } from './eventually.ts'

export interface Pgbouncer {
  /** The URL of the same database, through PgBouncer. */
  url: string
  stop(): Promise<void>
}

export interface PgbouncerOptions {
  poolMode: 'session' | 'transaction' | 'statement'
  /** Of the section [pgbouncer], by name. */
  settings?: Record<string, string>
}

const TRIES_MAX = 5

/**
 * Starts a PgBouncer in front of a server, with its own defaults for everything else.
 *
 * @param databaseUrl of a database with a user and a password; `?host=` is the folder of the server's Unix socket
 */
export async function startPgbouncer(databaseUrl: string, options: PgbouncerOptions): Promise<Pgbouncer> {
  const program = await fetchPgbouncer({ log: (line) => process.stderr.write(`${line}\n`) })
  const folder = await mkdtemp(join(tmpdir(), 'cashflow-pgbouncer-'))
  const removeFolder = () => rm(folder, { recursive: true, force: true })
  let said: string[] = []
  for (let tries = 1; ; tries++) {
    const [port] = (await freePorts(1)) as [number]
    said = []
    const configFile = await configure(folder, databaseUrl, port, options)
    const isRoot = process.getuid?.() === 0
    const daemon = await startDaemon({
      ...program,
      // It refuses to run as root, but can begin as root.
      args: [...(isRoot ? ['-u', 'nobody'] : []), configFile],
      cwd: folder,
      output: { onLine: (line) => said.push(line) },
    })
    if (await isUp(daemon, said)) {
      const url = new URL(databaseUrl)
      url.host = `127.0.0.1:${port}`
      url.search = ''
      return {
        url: url.href,
        async stop() {
          await daemon.stop([{ signal: 'SIGTERM', patienceMs: 5_000 }])
          await removeFolder()
        },
      }
    }
    const exit = await daemon.stop([])
    if (tries === TRIES_MAX || !said.join().includes('Address already in use')) {
      await removeFolder()
      throw new Error(`PgBouncer did not start (${describeExit(exit)}):\n${said.join('\n')}`)
    }
  }
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
  await chmod(folder, 0o755) // As root it reads them as another user.
  return file
}

/** Its log says that it listens, or it ends. */
async function isUp(daemon: Daemon, said: readonly string[]): Promise<boolean> {
  return eventually(() => {
    if (!daemon.isRunning()) return false
    if (said.some((line) => line.includes('process up'))) return true
    throw new Error(`PgBouncer does not say that it is up:\n${said.join('\n')}`)
  })
}
