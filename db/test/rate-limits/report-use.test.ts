import { query } from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import { deleteIdleRateLimits, type RateLimitLevel, reportUse, type Tables } from '../../src/index.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

const BUCKET = { limit: 100, burst: 50, debtMax: 200 }

describe('rate limits in the database', () => {
  let store: TestStore
  let db: Kysely<Tables>
  before(async () => {
    store = await createTestStore()
    db = store.db
  })
  after(() => store.drop())
  afterEach(() => db.deleteFrom('rate_limits').execute())

  async function report(key: string, used: number, offered = used): Promise<RateLimitLevel> {
    const [level] = await reportUse(db, [{ key, used, offered }], BUCKET)
    if (!level) throw new Error(`${key} has no level`)
    return level
  }

  /** Moves the last use of all keys into the past, or into the future. */
  const age = (seconds: number) =>
    sql`update rate_limits set updated_at = clock_timestamp() - ${seconds} * interval '1 second'`.execute(db)

  /** Reports the key `k` `seconds` after its last use. Returns the longest time that can have passed since, too. */
  async function reportAfter(seconds: number): Promise<RateLimitLevel & { atMostS: number }> {
    const startedAt = performance.now()
    await age(seconds)
    const level = await report('k', 0, 1)
    return { ...level, atMostS: seconds + (performance.now() - startedAt) / 1_000 }
  }

  it('a new key has a full bucket, less what was used', async () => {
    expect(await report('new', 8, 9)).to.deep.equal({ key: 'new', level: 42, demand: 9 })
  })

  it('a bucket refills by the limit each second, up to the burst', async () => {
    await report('k', 50)
    const { level, atMostS } = await reportAfter(0.2)
    expect(level).to.be.within(20, Math.min(50, 100 * atMostS))
    await age(3)
    expect(await report('k', 10)).to.include({ level: 40 })
  })

  it('a debt has a limit, so that it is refilled in time', async () => {
    expect(await report('k', 40)).to.include({ level: 10 })
    expect((await report('k', 1_000_000)).level).to.equal(-200)
  })

  it('demand counts all requests, and falls by the factor e each second', async () => {
    await report('k', 0, 100)
    const { demand, atMostS } = await reportAfter(1)
    expect(demand).to.be.within(100 * Math.exp(-atMostS) + 1, 100 / Math.E + 1)
    await age(1e9)
    expect((await report('k', 0, 1)).demand).to.be.closeTo(1, 0.01)
  })

  it('a database clock that goes back an hour costs no client its refill', async () => {
    await report('k', 50)
    await age(-3_600)
    expect((await report('k', 0, 1)).level).to.be.closeTo(0, 1)
    await age(0.5)
    expect((await report('k', 0, 1)).level).to.equal(50)
  })

  it('processes that report the same keys in different orders do not deadlock, and lose no use', async () => {
    const keys = Array.from({ length: 200 }, (_, n) => `k${n}`)
    const uses = keys.map((key) => ({ key, used: 1, offered: 1 }))
    const frozen = { limit: 0, burst: 1_000, debtMax: 0 }
    await Promise.all(
      Array.from({ length: 40 }, (_, n) => reportUse(db, n % 2 === 0 ? uses : uses.toReversed(), frozen)),
    )
    const rows = await db.selectFrom('rate_limits').select(['key', 'level']).execute()
    expect(rows).to.have.length(200)
    expect(rows.filter(({ level }) => level !== 960)).to.deep.equal([])
  })

  it('a report does not wait for the disk, and its session waits for it again afterwards', async () => {
    await query(
      store.database.url,
      `create table seen (setting text);
       create function see() returns trigger language plpgsql as $$
       begin insert into seen values (current_setting('synchronous_commit')); return new; end $$;
       create trigger see before insert on rate_limits for each row execute function see()`,
    )
    const after = await db.connection().execute(async (session) => {
      await reportUse(session, [{ key: 'k', used: 1, offered: 1 }], BUCKET)
      const { rows } = await sql<{ setting: string }>`select current_setting('synchronous_commit') as setting`.execute(
        session,
      )
      return rows[0]?.setting
    })
    expect(await query(store.database.url, 'select setting from seen')).to.deep.equal([{ setting: 'off' }])
    expect(after).to.equal('on')
    await query(store.database.url, 'drop trigger see on rate_limits')
  })

  it('writes nothing to the log of PostgreSQL for its rows', async () => {
    const [table] = await query(store.database.url, "select relpersistence from pg_class where relname = 'rate_limits'")
    expect(table).to.deep.equal({ relpersistence: 'u' })
  })

  it('deletes buckets that were unused for a minute, and keeps others and locked ones', async () => {
    for (const key of ['idle', 'locked']) await report(key, 1)
    await age(61)
    await report('busy', 1)
    await db.transaction().execute(async (tx) => {
      await tx.selectFrom('rate_limits').selectAll().where('key', '=', 'locked').forUpdate().execute()
      await deleteIdleRateLimits(db)
    })
    const rows = await db.selectFrom('rate_limits').select('key').orderBy('key').execute()
    expect(rows.map(({ key }) => key)).to.deep.equal(['busy', 'locked'])
  })
})
