import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { defined } from '@cashflow/async'
import { hostUrls } from '@cashflow/runtime'
import pg from 'pg'
import { choosePort, onPorts } from '../ports.ts'
import { describeExit, startDaemon } from '../processes/daemon.ts'
import type { KeptRunning } from '../processes/keep-running.ts'
import { removePostgresData, startPostgres } from '../servers/postgres.ts'
import { query } from '../servers/postgres-client.ts'
import { startRabbitmq } from '../servers/rabbitmq.ts'
import { localUrls } from '../servers/rabbitmq-server.ts'
import { StartError } from '../start-error.ts'
import { type StackContext, startTogether } from './context.ts'

export type Servers = Awaited<ReturnType<typeof startServers>>

/** A server that the settings name: this stack neither starts nor stops it. */
const GIVEN: KeptRunning = { pid: () => undefined, stop: async () => {} }
const MIGRATION_STOP_PATIENCE_MS = 10_000
const MANAGEMENT_PORT = 15672

/** Starts the database, migrated, and the broker. Either may be one that the settings name instead. */
export async function startServers(context: StackContext) {
  const [database, broker] = await startTogether(
    [(signal) => startDatabase(context, signal), (signal) => startBroker(context, signal)],
    context.signal,
  )
  return {
    urls: { database_url: database.url, rabbitmq_url: broker.url, rabbitmq_management_url: broker.managementUrl },
    /** The running servers that this stack has started. */
    pids: () => {
      const [postgres, rabbitmq] = [database.pid(), broker.pid()]
      return { ...(postgres && { postgres }), ...(rabbitmq && { rabbitmq }) }
    },
    async stop() {
      await broker.stop()
      await database.stop()
    },
  }
}

async function startDatabase(context: StackContext, signal: AbortSignal) {
  const { stateDir, settings, serverPorts, fresh, say, supervise, onSpawn } = context
  const { databaseUrl } = settings.given
  if (databaseUrl) {
    const hosts = hostUrls(databaseUrl).map((url) => decodeURIComponent(new URL(url).host))
    say(`using the PostgreSQL at ${hosts.join(', ')}, named by DATABASE_URL or DB_HOST`)
    await migrate(context, databaseUrl, signal)
    return { ...GIVEN, url: databaseUrl }
  }
  if (fresh) removePostgresData(stateDir)
  say('starting PostgreSQL')
  const choose = () => choosePort('PostgreSQL', serverPorts.postgres, say)
  const { ports: port, server } = await onPorts(choose, (port) => {
    const options = { dir: stateDir, port, keep: true, outlive: true, log: say, onSpawn }
    return supervise('PostgreSQL', (aborted) => startPostgres({ ...options, signal: aborted }), signal)
  })
  try {
    const base = `postgres://postgres:postgres@127.0.0.1:${port}`
    await createDatabase(`${base}/postgres`, settings.databaseName)
    const url = `${base}/${encodeURIComponent(settings.databaseName)}`
    // Explicit: data of a version that stored no mode may hold payments, for which a default is not enough.
    await migrate(context, url, signal, { SANDBOX: settings.sandbox ? 'yes' : 'no' })
    return { ...server, url }
  } catch (error) {
    await server.stop()
    throw error
  }
}

async function createDatabase(url: string, name: string): Promise<void> {
  const found = await query(url, 'select from pg_database where datname = $1', { values: [name] })
  if (found.length === 0) await query(url, `create database ${pg.escapeIdentifier(name)}`)
}

/** Migrates in a process of its own, as in production: services and migrations share only the schema. */
async function migrate(
  context: StackContext,
  databaseUrl: string,
  signal: AbortSignal,
  extra: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { commands, env, cwd, printer, say, onSpawn } = context
  signal.throwIfAborted()
  say('migrating the database')
  const migration = await startDaemon({
    ...commands.migrate,
    cwd,
    env: { ...env, ...extra, DATABASE_URL: databaseUrl },
    output: { onLine: (line) => printer.print('migrate', line) },
    onSpawn: (pid) => onSpawn(pid, 'migrate'),
    outlive: true,
  })
  const stop = () => void migration.stop([{ signal: 'SIGTERM', patienceMs: MIGRATION_STOP_PATIENCE_MS }])
  signal.addEventListener('abort', stop, { once: true })
  const exit = await migration.exited
  signal.removeEventListener('abort', stop)
  signal.throwIfAborted()
  if (exit.code !== 0) throw new StartError(`the database could not be migrated (${describeExit(exit)})`)
}

async function startBroker(context: StackContext, signal: AbortSignal) {
  const { stateDir, settings, serverPorts, fresh, say, supervise, onSpawn } = context
  if (settings.given.rabbitmqUrl) return givenBroker(settings.given.rabbitmqUrl, say)

  const dir = join(stateDir, 'rabbitmq')
  if (fresh) rmSync(dir, { recursive: true, force: true })
  say('starting RabbitMQ, which takes some seconds')
  const choose = async () => ({
    amqp: await choosePort('RabbitMQ', serverPorts.rabbitmq, say),
    management: await choosePort('RabbitMQ management', serverPorts.management, say),
  })
  const { ports, server } = await onPorts(choose, (ports) => {
    const options = { dir, ports, outlive: true, log: say, onSpawn }
    return supervise('RabbitMQ', (aborted) => startRabbitmq({ ...options, signal: aborted }), signal)
  })
  return { ...server, ...localUrls(ports) }
}

/** Assumes the management API on RabbitMQ's default port, since no setting names it. */
function givenBroker(url: string, say: (line: string) => void) {
  const { username, password, hostname, host } = new URL(defined(url.split(',')[0], 'URL of the broker'))
  say(`using the RabbitMQ at ${host}, named by RABBITMQ_URL or MQ_HOST`)
  const managementUrl = `http://${username || 'guest'}:${password || 'guest'}@${hostname}:${MANAGEMENT_PORT}`
  return { ...GIVEN, url, managementUrl }
}
