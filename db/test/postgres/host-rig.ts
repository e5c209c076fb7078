import { createLogger, type Logger } from '@cashflow/runtime'
import { createTestDatabase, startTcpProxy, type TcpProxy } from '@cashflow/testing'
import { type Kysely, sql } from 'kysely'
import { createDatabase, type Tables } from '../../src/index.ts'
import { startSilentServer } from './silent-servers.ts'

/** An address on which no server listens. */
export const NOWHERE = '127.0.0.1:1'

export const hostOf = (url: string) => new URL(url).host

/** @returns how long the query took, in milliseconds */
export async function ask(db: Kysely<Tables>): Promise<number> {
  const from = performance.now()
  await sql`select 1`.execute(db)
  return performance.now() - from
}

export const errorOf = (db: Kysely<Tables>) =>
  ask(db).then(
    () => undefined,
    (error: Error) => error,
  )

/** A test database, and the means to connect to it through several hosts. */
export async function startHostRig() {
  const database = await createTestDatabase()
  const cleanUps: (() => Promise<unknown>)[] = [() => database.drop()]
  const logs: { message: string; [field: string]: unknown }[] = []
  const record = (message: string, fields = {}) => void logs.push({ message, ...fields })
  const logger: Logger = Object.assign(Object.create(createLogger({ service: 'test', level: 'error' })), {
    debug: record,
    info: record,
    warn: record,
  })
  return {
    url: database.url,
    host: hostOf(database.url),
    logs,
    /** The lines that were logged with this message. */
    logged: (message: string) => logs.filter((line) => line.message === message),
    open(hosts: readonly string[], { poolMax = 2, statementMs = 5_000, url = database.url } = {}): Kysely<Tables> {
      const several = url.replace(hostOf(url), hosts.join(','))
      const db = createDatabase({ url: several, applicationName: 'test', poolMax, statementMs, logger })
      cleanUps.push(() => db.destroy())
      return db
    },
    async proxy(): Promise<TcpProxy> {
      const proxy = await startTcpProxy(database.url)
      cleanUps.push(() => proxy.stop())
      return proxy
    },
    async silent() {
      const server = await startSilentServer()
      cleanUps.push(() => server.stop())
      return server
    },
    onStop: (cleanUp: () => Promise<unknown>) => void cleanUps.push(cleanUp),
    async stop() {
      for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
    },
  }
}

export type HostRig = Awaited<ReturnType<typeof startHostRig>>
