import { execFile } from 'node:child_process'
import { chownSync, cpSync, existsSync, globSync, mkdirSync } from 'node:fs'
import { chmod, mkdtempDisposable, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { defined } from '@cashflow/async'
import {
  describeExit,
  fetchDebianPackage,
  freePorts,
  onPorts,
  PortTakenError,
  postgresHome,
  startDaemon,
  untilReady,
} from '@cashflow/dev-stack'
import { withDatabase } from './addresses.ts'
import { REPOSITORY } from './repository.ts'
import { createMigrated } from './test-database.ts'

export type DebianPostgres = Awaited<ReturnType<typeof startDebianPostgres>>

interface Programs {
  folder: string
  env: NodeJS.ProcessEnv
}

const PACKAGES = ['postgresql-15', 'postgresql-client-15']
const DUMP_BYTES_MAX = 64 * 1024 * 1024
const NEEDED = ['initdb', 'postgres', 'pg_dump', 'pg_restore']

/**
 * Starts a PostgreSQL of Debian for one test, with a migrated database. It may be older than the other test servers, and it
 * has pg_dump and pg_restore, which npm's PostgreSQL lacks.
 */
export async function startDebianPostgres() {
  await using unfinished = new AsyncDisposableStack()
  const { path: dir } = unfinished.use(await mkdtempDisposable(join(tmpdir(), 'cashflow-test-')))
  await chmod(dir, 0o755) // Started by root, PostgreSQL runs as another user.
  const { user } = postgresHome(dir)
  const { folder, env } = await fetchPrograms(dir)
  const data = join(dir, 'data')
  mkdirSync(data, { mode: 0o700 })
  if (user) chownSync(data, user.uid, user.gid)
  const how = { env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC', ...env }, cwd: data, ...user }
  const cluster = ['--username', 'postgres', '--auth', 'trust', '--encoding', 'UTF8', '--locale', 'C', '--no-sync']
  await promisify(execFile)(join(folder, 'initdb'), ['--pgdata', data, ...cluster], how)
  const start = async ([port]: number[]) => {
    const lines: string[] = []
    const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off']
    const daemon = await startDaemon({
      file: join(folder, 'postgres'),
      args: ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])],
      output: { onLine: (line) => lines.push(line) },
      ...{ env: how.env, cwd: data, ...(user && { user }) },
    })
    const isUp = async () => lines.some((line) => line.includes('ready to accept connections'))
    if (await untilReady(daemon, isUp, { deadlineMs: 60_000, intervalMs: 20 })) return daemon
    const exit = await daemon.stop([])
    if (lines.join().includes('Address already in use')) throw new PortTakenError('PostgreSQL', [Number(port)])
    throw new Error(`Debian's PostgreSQL did not start (${describeExit(exit)}):\n${lines.join('\n')}`)
  }
  const { ports, server } = await onPorts(() => freePorts(1), start)
  unfinished.defer(async () => void (await server.stop([{ signal: 'SIGINT', patienceMs: 10_000 }])))
  const url = `postgres://postgres:postgres@127.0.0.1:${ports[0]}/postgres`
  await createMigrated(url, 'payments')
  const running = unfinished.move()
  const databaseUrl = withDatabase(url, 'payments')
  async function run(command: string, DATABASE_URL: string): Promise<string> {
    const variables = { ...env, DATABASE_URL, PATH: `${folder}:${process.env.PATH}` }
    const options = { cwd: dir, env: variables, maxBuffer: DUMP_BYTES_MAX }
    return (await promisify(execFile)('bash', ['-euc', command], options)).stdout
  }
  return {
    /** The URL of a migrated database. */
    url: databaseUrl,
    /** Dumps the database as SQL text. */
    dump: () => run('pg_dump "$DATABASE_URL"', databaseUrl),
    /** Dumps the database and restores it into an empty one, with the commands of docs/operations.md. */
    async restoreInto(emptyUrl: string): Promise<void> {
      const page = await readFile(join(REPOSITORY, 'docs/operations.md'), 'utf8')
      for (const [program, databaseOf] of [
        ['pg_dump', databaseUrl],
        ['pg_restore', emptyUrl],
      ] as const) {
        const [, command] = new RegExp(`\`\`\`sh\n(${program} .*)\n\`\`\``).exec(page) ?? []
        await run(defined(command, `command ${program} of the page`), databaseOf)
      }
    },
    stop: () => running.disposeAsync(),
  }
}

/**
 * Finds the programs: installed ones, or else those of Debian 12, which apt-get downloads.
 *
 * @throws Error where there are neither
 */
async function fetchPrograms(dir: string): Promise<Programs> {
  const installed = globSync('/usr/lib/postgresql/*/bin').find(isComplete)
  if (installed) return { folder: installed, env: {} }
  const root = join(dir, 'programs') // A copy: no other user may read root's cache.
  for (const name of PACKAGES) {
    const unpacked = await fetchDebianPackage(name, { log: (line) => process.stderr.write(`${line}\n`) })
    if (!unpacked) throw new Error("Debian's PostgreSQL is not installed: install its package postgresql")
    cpSync(unpacked, root, { recursive: true, verbatimSymlinks: true })
  }
  const folder = defined(globSync(`${root}/usr/lib/postgresql/*/bin`).find(isComplete), "PostgreSQL's programs")
  return { folder, env: { LD_LIBRARY_PATH: globSync(`${root}/{lib,usr/lib}/*-linux-gnu*`).join(':') } }
}

const isComplete = (folder: string) => NEEDED.every((program) => existsSync(join(folder, program)))
