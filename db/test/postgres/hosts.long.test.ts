import {
  createTestDatabase,
  eventually,
  nullLogger,
  type PostgresTrio,
  startPostgresTrio,
  startTcpProxy,
  urlOfHosts,
} from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import { createDatabase, isTransient, type Tables } from '../../src/index.ts'
import { OldTimelineError } from '../../src/postgres/errors.ts'
import { HostSession } from '../../src/postgres/host-session.ts'
import { sessionConfig } from '../../src/postgres/session-config.ts'
import { createTimelines } from '../../src/postgres/timelines.ts'

describe('pool of a primary and two standbys', () => {
  const cleanUps: (() => Promise<unknown>)[] = []
  let trio: PostgresTrio
  beforeEach(async function () {
    this.timeout(180_000)
    trio = await startPostgresTrio()
    cleanUps.push(() => trio.stop())
  })
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
  })

  function open(hosts: readonly string[], statementMs = 5_000): Kysely<Tables> {
    const db = createDatabase({
      url: urlOfHosts(hosts),
      applicationName: 'test',
      poolMax: 3,
      statementMs,
      logger: nullLogger,
    })
    cleanUps.push(() => db.destroy())
    return db
  }
  const portOf = (server: number) => new URL(trio.urls[server] ?? '').port
  const port = async (db: Kysely<Tables>) =>
    (await sql<{ port: string }>`select current_setting('port') as port`.execute(db)).rows[0]?.port

  // Promise 55
  it('db: uses the primary at any place in the list, and leaves it when a standby is promoted, although it still runs', async () => {
    const [first, second, third] = trio.urls
    const writer = open([second, third, first])
    const reader = open([first, second, third])
    for (const db of [writer, reader]) expect(await port(db)).to.equal(portOf(0))
    const [held] = await Promise.all([writer.startTransaction().execute(), trio.promote()])
    for (const db of [writer, reader])
      await eventually(async () => expect(await port(db)).to.equal(portOf(1)), { timeoutMs: 3_000 })
    const lost = await port(held).catch((error: unknown) => error)
    expect(isTransient(lost), 'what was in flight may run again').to.equal(true)
    await held
      .rollback()
      .execute()
      .catch(() => {}) // Its session is gone.

    expect(await trio.query(0, 'show transaction_read_only')).to.deep.equal([{ transaction_read_only: 'off' }])
    const left = await trio.query(0, "select pid from pg_stat_activity where application_name = 'test'")
    expect(left, 'sessions on the former primary').to.deep.equal([])
    expect(await port(open([first, second, third])), 'of a process that starts now').to.equal(portOf(1))
  }).timeout(180_000)

  it('db: closes a session when another one shows a higher timeline, refuses the lower one, and accepts a new cluster', async () => {
    const [first, second] = trio.urls
    const timelines = createTimelines(nullLogger)
    const connect = (url: string) => {
      const config = sessionConfig({ url, applicationName: 'test' })
      return new HostSession({ ...config, timelines, startMs: 5_000 }).connect()
    }
    const former = await connect(first)
    const closed = new Promise((resolve) => former.once('error', resolve))
    await trio.promote()
    const latter = await connect(second)
    expect(await closed).to.be.instanceOf(OldTimelineError)
    expect(await connect(first).catch((error: unknown) => error)).to.be.instanceOf(OldTimelineError)
    await latter.end()

    const database = await createTestDatabase()
    cleanUps.push(() => database.drop())
    const other = await connect(database.url)
    expect((await other.query('select 1 as one')).rows).to.deep.equal([{ one: 1 }])
    await other.end()
  }).timeout(180_000)

  // Promise 56
  it('db: tries a host last after a COMMIT there was not answered because its standby is unavailable', async () => {
    const proxies = [await startTcpProxy(trio.urls[0]), await startTcpProxy(trio.urls[0])] as const
    for (const proxy of proxies) cleanUps.push(() => proxy.stop())
    const db = open(
      proxies.map(({ url }) => url),
      1_000,
    )
    expect(await port(db)).to.equal(portOf(0))
    const standbys = async (names: string) => {
      await trio.query(0, `alter system set synchronous_standby_names = '${names}'`)
      await trio.query(0, 'select pg_reload_conf()')
      await eventually(async () =>
        expect(await trio.query(0, 'show synchronous_standby_names')).to.deep.equal([
          { synchronous_standby_names: names },
        ]),
      )
    }
    await standbys('absent')
    const write = () => sql`select pg_logical_emit_message(true, 'test', '')`.execute(db)
    await eventually(async () => {
      const waited = await write().catch((error: unknown) => error)
      expect(waited).to.be.an('error').with.property('message', 'Query read timeout')
    })
    // The request to cancel the COMMIT is a connection too. It has arrived when no session waits for a standby.
    await eventually(async () =>
      expect(await trio.query(0, "select pid from pg_stat_activity where wait_event = 'SyncRep'")).to.deep.equal([]),
    )
    await standbys('')
    const [first, second] = proxies.map(({ taken }) => taken)
    await write()
    expect(proxies[0].taken).to.equal(first)
    expect(proxies[1].taken).to.be.above(Number(second))
  }).timeout(180_000)
})
