import { eventually, openClient, query, recordingLogger, startTcpProxy } from '@cashflow/testing'
import { Counter, Registry } from '@prometheus-io/client'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createDatabase, createHeartbeat, type HeartbeatOptions } from '../../src/index.ts'
import { pruneInstances, writeInstance } from '../../src/instances/instances.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

const BEAT_MS = 50
const OLD = '01990000-0000-7000-8000-00000000000'

describe('instances', () => {
  let store: TestStore
  beforeEach(async () => {
    store = await createTestStore()
  })
  afterEach(() => store.drop())

  const { signal } = new AbortController()
  const rows = () => store.db.selectFrom('instances').selectAll().execute()
  const row = async () => (await rows())[0] ?? expect.fail('there is no row')
  const beatsOf = async () => (await row()).counters.cashflow_heartbeats_total ?? 0

  function heartbeat(options: Partial<HeartbeatOptions> = {}) {
    const { logger, lines } = recordingLogger()
    const own = { db: store.db, role: 'worker', version: '1.2.3', registry: new Registry(), logger } as const
    return { lines, ...createHeartbeat({ ...own, beatMs: BEAT_MS, ...options }) }
  }

  /** Stores rows of processes that were seen last `hours` ago. */
  const storeOld = (count: number, hours: number) =>
    sql`insert into instances (id, role, instance, version, started_at, seen_at, counters)
      select gen_random_uuid(), 'api', 'old', '1', now(), now() - ${hours} * interval '1 hour', '{}'
      from generate_series(1, ${count}::int)`.execute(store.db)

  it('instances: a process writes its row again and again, with its counters, and deletes it at its stop', async () => {
    const { start, stop } = heartbeat({ queueDepths: () => ({ payments: 7 }) })
    await start(signal)
    await eventually(async () => expect(await beatsOf()).to.be.above(3))
    expect(await row()).to.include({ role: 'worker', version: '1.2.3' })
    expect((await row()).instance).to.match(new RegExp(`:${process.pid}$`))
    expect((await row()).queue_depths).to.deep.equal({ payments: 7 })
    expect(await rows()).to.have.length(1)
    await stop()
    expect(await rows()).to.have.length(0)
  })

  it('instances: a row that was lost is written again, with the time of the start', async () => {
    const { start, stop } = heartbeat()
    await start(signal)
    await eventually(async () => expect(await rows()).to.have.length(1))
    const { started_at: before } = await row()
    await sql`truncate instances`.execute(store.db)
    await eventually(async () => expect(await rows()).to.have.length(1))
    expect((await row()).started_at.getTime()).to.be.closeTo(before.getTime(), 1_000)
    const { rows: clock } = await sql<{ up: number }>`
      select extract(epoch from clock_timestamp() - started_at)::float8 as up from instances`.execute(store.db)
    expect(clock[0]?.up).to.be.closeTo(performance.now() / 1_000, 1)
    await stop()
  })

  it('instances: what a process counts in addition to its metrics is among its counters', async () => {
    let times = 0
    const { start, stop } = heartbeat({ counts: () => ({ settled_from_5ms: ++times }) })
    await start(signal)
    await eventually(async () => expect((await row()).counters.settled_from_5ms).to.be.above(1))
    expect(await beatsOf()).to.be.above(0)
    await stop()
  })

  it('instances: one beat is in flight at a time', async () => {
    const { start, stop } = heartbeat({ beatMs: 5 })
    await start(signal)
    await eventually(async () => expect(await rows()).to.have.length(1))
    const holder = await openClient(store.database.url)
    await holder.query('begin; select from instances for update')
    const waiting = () =>
      query<{ pid: number }>(
        store.database.url,
        "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      )
    await eventually(async () => expect(await waiting()).to.have.length(1))
    const [first] = await waiting()
    for (let looks = 0; looks < 30; looks++) expect(await waiting()).to.deep.equal([first])
    await holder.query('commit')
    await holder.end()
    await stop()
  })

  it('instances: a stop waits for the beat in flight, which would write the row again', async () => {
    const registry = new Registry()
    const held = Promise.withResolvers<void>()
    let isHeld = false
    new Counter({
      name: 'held',
      help: 'Holds the beat before its statement',
      registers: [registry],
      async collect() {
        isHeld = true
        await held.promise
      },
    })
    const { start, stop } = heartbeat({ registry })
    await start(signal)
    await eventually(() => expect(isHeld).to.equal(true))
    const stopped = stop()
    expect(await rows()).to.have.length(0)
    held.resolve()
    await stopped
    // The beat itself was written.
    await eventually(async () => expect(await registry.metrics()).to.include('cashflow_heartbeats_total 1'))
    expect(await rows()).to.have.length(0)
  })

  it('instances: beats that fail are one line in the log, and end with another one', async () => {
    const { start, stop, lines } = heartbeat()
    await sql`alter table instances rename to away`.execute(store.db)
    await start(signal)
    const messages = () => lines.map(({ message }) => message)
    const failed = 'could not write the heartbeat of this process, trying again'
    await eventually(() => expect(messages()).to.deep.equal([failed]))
    await sql`alter table away rename to instances`.execute(store.db)
    await eventually(() => expect(messages()).to.deep.equal([failed, 'the heartbeat of this process is written again']))
    await stop()
  })

  it('instances: a process stops within its deadline although PostgreSQL does not answer', async () => {
    const proxy = await startTcpProxy(store.database.url)
    const { logger } = recordingLogger()
    const db = createDatabase({ url: proxy.url, applicationName: 'frozen', poolMax: 1, logger })
    const { start, stop, lines } = heartbeat({ db })
    await start(signal)
    await eventually(async () => expect(await rows()).to.have.length(1))
    proxy.freeze()
    const startedAt = performance.now()
    await stop()
    expect(performance.now() - startedAt).to.be.below(3_000)
    expect(lines.map(({ message }) => message)).to.include(
      'could not delete the heartbeat of this process, its row is left',
    )
    proxy.restore()
    await db.destroy()
    await proxy.stop()
  })

  it('instances: rows that were not seen for a day are pruned, at most 1,000 at a time', async () => {
    await storeOld(1_001, 25)
    await storeOld(2, 23)
    expect(await pruneInstances(store.db)).to.equal(1_000)
    expect(await pruneInstances(store.db)).to.equal(1)
    expect(await rows()).to.have.length(2)
    await storeOld(1, 25)
    const { start, stop } = heartbeat()
    await start(signal)
    await eventually(async () =>
      expect((await rows()).map(({ instance }) => instance === 'old')).to.have.members([true, true, false]),
    )
    await stop()
  })

  it('instances: one process prunes at a time', async () => {
    await storeOld(1, 25)
    await store.db.transaction().execute(async (tx) => {
      await storeOld(1, 25)
      expect(await pruneInstances(tx)).to.equal(2)
      await storeOld(1, 25)
      expect(await pruneInstances(store.db)).to.equal(0)
    })
    expect(await pruneInstances(store.db)).to.equal(1)
  })

  it('instances: a process that returns after a day keeps its row, if it is pruned at the same time', async () => {
    const own = { id: `${OLD}1`, role: 'api', instance: 'frozen', version: '1', uptimeMs: 0, counters: {} } as const
    await writeInstance(store.db, { ...own, queueDepths: undefined })
    await sql`update instances set seen_at = now() - interval '25 hours'`.execute(store.db)
    const returning = await openClient(store.database.url)
    await returning.query('begin; update instances set seen_at = clock_timestamp()')
    const pruned = pruneInstances(store.db)
    await eventually(async () => {
      const waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
      expect(await query(store.database.url, waiting)).to.have.length(1)
    })
    await returning.query('commit')
    await returning.end()
    expect(await pruned).to.equal(0)
    expect(await rows()).to.have.length(1)
  })

  it('instances: heartbeats wait for no disk and no standby', async () => {
    const [table] = await query(store.database.url, "select relpersistence from pg_class where relname = 'instances'")
    expect(table).to.deep.equal({ relpersistence: 'u' })
    await query(
      store.database.url,
      `create table seen (setting text);
      create function see() returns trigger language plpgsql as $$
        begin insert into seen values (current_setting('synchronous_commit')); return new; end $$;
      create trigger see before insert on instances for each row execute function see()`,
    )
    const own = { id: `${OLD}1`, role: 'api', instance: 'one', version: '1', uptimeMs: 0, counters: {} } as const
    await writeInstance(store.db, { ...own, queueDepths: undefined })
    expect(await query(store.database.url, 'select setting from seen')).to.deep.equal([{ setting: 'off' }])
  })
})
