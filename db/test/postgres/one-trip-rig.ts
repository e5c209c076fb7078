import { createLogger } from '@cashflow/runtime'
import { createTestDatabase, eventually, query, startTcpProxy, type TcpProxy } from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql, type Transaction } from 'kysely'
import { createDatabase, onlyStatement, type Tables } from '../../src/index.ts'

/** A database with the table `things`, and one session with it by way of a proxy. */
export interface OneTripRig {
  readonly databaseUrl: string
  readonly proxy: TcpProxy
  readonly db: Kysely<Tables>
  insert(tx: Kysely<Tables>, id: unknown): Promise<{ numAffectedRows?: bigint }>
  insertOnly(tx: Transaction<Tables>, id: unknown): Promise<{ numAffectedRows?: bigint }>
  stored(): Promise<number[]>
  expectStored(...ids: number[]): Promise<void>
  /** The session as PostgreSQL shows it. */
  sessions(): Promise<Record<string, unknown>[]>
  pid(): Promise<number>
  /** Expects that the session is still the one with this `pid`, and in no transaction. */
  expectClean(pid: number): Promise<void>
  stop(): Promise<void>
}

export const optionsOf = (url: string, applicationName: string) => {
  const logger = createLogger({ service: 'test', level: 'error' })
  return { url, applicationName, poolMax: 1, logger }
}

export const open = (url: string, applicationName: string) => createDatabase(optionsOf(url, applicationName))

export const errorOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: Error & { code?: string }) => error,
  )

export async function createOneTripRig(): Promise<OneTripRig> {
  const database = await createTestDatabase()
  await query(database.url, 'create table things (id int primary key)')
  const proxy = await startTcpProxy(database.url)
  const db = open(proxy.url, 'one-trip')
  await sql`select 'the session is open'`.execute(db)
  const insert = (tx: Kysely<Tables>, id: unknown) => sql`insert into things (id) values (${id})`.execute(tx)
  const stored = async () =>
    (await query(database.url, 'select id from things order by id')).map(({ id }) => id as number)
  const sessions = () =>
    query(database.url, "select pid, state, query from pg_stat_activity where application_name = 'one-trip'")
  return {
    databaseUrl: database.url,
    proxy,
    db,
    insert,
    insertOnly: (tx, id) => insert(onlyStatement(tx), id),
    stored,
    async expectStored(...ids) {
      await eventually(async () => expect(await stored()).to.deep.equal(ids))
    },
    sessions,
    pid: async () => (await sessions())[0]?.pid as number,
    async expectClean(pid) {
      const { rows } = await sql<{ pid: number; alone: boolean }>`
        select pg_backend_pid() as pid, now() = statement_timestamp() as alone`.execute(db)
      expect(rows).to.deep.equal([{ pid, alone: true }])
    },
    async stop() {
      proxy.restore()
      await db.destroy()
      await proxy.stop()
      await database.drop()
    },
  }
}
