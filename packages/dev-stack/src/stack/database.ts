import { hostUrls } from '@cashflow/runtime'
import { removePostgresData, startPostgres } from '../servers/postgres.ts'
import { openClient } from '../servers/postgres-client.ts'
import { choosePort, onPorts } from './choose-port.ts'
import type { StackContext } from './stack.ts'

export type Database = { url: string; pid(): number | undefined; stop(): Promise<void> }

export async function startDatabase(context: StackContext, signal: AbortSignal): Promise<Database> {
  const { stateDir, settings, serverPorts, fresh, say, supervise, onSpawn } = context
  if (settings.given.databaseUrl) {
    const hosts = hostUrls(settings.given.databaseUrl).map((url) => decodeURIComponent(new URL(url).host))
    say(`using the PostgreSQL at ${hosts.join(', ')}, which DATABASE_URL or DB_HOST asks for`)
    return { url: settings.given.databaseUrl, pid: () => undefined, stop: async () => {} }
  }
  if (fresh) removePostgresData(stateDir)
  say('starting PostgreSQL')
  const choose = () => choosePort('PostgreSQL', serverPorts.postgres, say)
  const { ports: port, server } = await onPorts(choose, (port) => {
    const start = (until: AbortSignal) =>
      startPostgres({
        ...{ dir: stateDir, port, keep: true, outlive: true },
        ...{ log: say, onSpawn: onSpawn('postgres'), signal: until },
      })
    return supervise('PostgreSQL', start, signal)
  })
  try {
    const base = `postgres://postgres:postgres@127.0.0.1:${port}`
    await createDatabase(`${base}/postgres`, settings.databaseName)
    return {
      url: `${base}/${encodeURIComponent(settings.databaseName)}`,
      pid: () => server.current()?.pid,
      stop: server.stop,
    }
  } catch (error) {
    await server.stop()
    throw error
  }
}

async function createDatabase(url: string, name: string): Promise<void> {
  const client = await openClient(url)
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name])
    if (rowCount === 0) await client.query(`create database ${client.escapeIdentifier(name)}`)
  } finally {
    await client.end()
  }
}
