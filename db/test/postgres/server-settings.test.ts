import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from '@cashflow/runtime'
import {
  eventually,
  nullLogger,
  openClient,
  type PrivatePostgres,
  recordingLogger,
  startPrivatePostgres,
} from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import type pg from 'pg'
import { createDatabase, DatabaseSettingError } from '../../src/index.ts'

const reasonOf = (work: Promise<unknown>) => work.then(() => undefined).catch((error: unknown) => error)

describe('session settings on a private server', () => {
  let server: PrivatePostgres
  let admin: pg.Client
  let socketFolder: string
  before(async () => {
    socketFolder = await mkdtemp(join(tmpdir(), 'cashflow-socket-'))
    await chmod(socketFolder, 0o777) // As root, another user runs the server.
    server = await startPrivatePostgres({ unix_socket_directories: socketFolder })
    admin = await openClient(server.url)
  }).timeout(180_000)
  after(async () => {
    await admin.end()
    await server.stop()
    await rm(socketFolder, { recursive: true, force: true })
  })

  const open = (url: string, logger: Logger) => createDatabase({ url, applicationName: 'test', poolMax: 1, logger })

  // Promise 57
  it('db: accepts synchronous_commit = local without standbys, and refuses it if a COMMIT has to wait for one', async () => {
    await admin.query('alter database payments set synchronous_commit = local')
    const alone = open(server.url, nullLogger)
    expect((await sql`select 1 as one`.execute(alone)).rows).to.deep.equal([{ one: 1 }])
    await alone.destroy()
    await admin.query("alter system set synchronous_standby_names = 'absent'")
    await admin.query('select pg_reload_conf()')
    const replicated = open(server.url, nullLogger)
    await eventually(async () =>
      expect(String(await reasonOf(sql`select 1`.execute(replicated)))).to.include('synchronous_commit is local'),
    )
    await replicated.destroy()
    await admin.query('alter system reset synchronous_standby_names')
    await admin.query('select pg_reload_conf()')
    await admin.query('alter database payments reset synchronous_commit')
  }).timeout(180_000)

  // Promise 57
  it('db: refuses a session where a standby is required and synchronous_standby_names is empty, and says what to do', async () => {
    const open = (standbyRequired: boolean) =>
      createDatabase({ url: server.url, applicationName: 'test', poolMax: 1, standbyRequired, logger: nullLogger })
    const [requiring, other] = [open(true), open(false)]
    const refused = await reasonOf(sql`select 1`.execute(requiring))
    expect(refused).to.be.instanceOf(DatabaseSettingError)
    expect(String(refused)).to.include('synchronous_standby_names is empty').and.include("such as to 'ANY 1 (")
    expect((await sql`select 1 as one`.execute(other)).rows).to.deep.equal([{ one: 1 }])
    await admin.query("alter system set synchronous_standby_names = 'absent'")
    await admin.query('select pg_reload_conf()')
    await eventually(async () => expect((await sql`select 1 as one`.execute(requiring)).rows).to.have.length(1))
    await admin.query('alter system reset synchronous_standby_names')
    await admin.query('select pg_reload_conf()')
    await Promise.all([requiring.destroy(), other.destroy()])
  }).timeout(180_000)

  // Promise 11
  it('db: works over a Unix socket, and warns once that a frozen relay keeps its lanes there (promise 11)', async () => {
    const { port, pathname, username, password } = new URL(server.url)
    const { logger, lines } = recordingLogger()
    const url = `postgres://${username}:${password}@localhost:${port}${pathname}?host=${socketFolder}`
    // As in libpq, there is no TLS on a Unix socket, with any sslmode.
    const withTls = open(`${url}&sslmode=verify-full`, nullLogger)
    expect((await sql`select 1 as one`.execute(withTls)).rows).to.deep.equal([{ one: 1 }])
    await withTls.destroy()
    const db = open(url, logger)
    for (let session = 0; session < 2; session++) {
      const { rows } = await sql<{ pid: number; socket: boolean }>`
        select pg_backend_pid() as pid, inet_client_addr() is null as socket`.execute(db)
      expect(rows[0]?.socket).to.equal(true)
      await admin.query('select pg_terminate_backend($1, 5000)', [rows[0]?.pid])
      await eventually(() => expect(lines.some(({ message }) => message === 'database connection lost')).to.equal(true))
    }
    const warnings = lines.filter(({ message }) => message.includes('tcp_user_timeout'))
    expect(warnings).to.have.length(1)
    expect(warnings[0]?.level).to.equal('warn')
    expect(warnings[0]?.fields).to.include({ promise: 11, reason: 'PostgreSQL is reached by a Unix socket' })
    await db.destroy()
  }).timeout(180_000)
})
