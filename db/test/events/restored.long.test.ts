import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import {
  type DebianPostgres,
  nullLogger,
  type PrivatePostgres,
  query,
  recordingLogger,
  startDebianPostgres,
  startPrivatePostgres,
  withDatabase,
} from '@cashflow/testing'
import { expect } from 'chai'
import { createDatabase, type Database, databaseComponent } from '../../src/index.ts'
import { migrateAll } from '../migrate/former-database.ts'
import { createReader } from './feed-rig.ts'

const SEEN = 1_000
const UNSEEN = 500
// More than a step of `migrate`, so that a part of them can have their xids set to 0.
const OLD = 10_000

describe('events of a restored dump', () => {
  let lost: DebianPostgres
  let server: PrivatePostgres
  /** An empty database of another server, which is at least as new. */
  let restored: { url: string }
  let db: Database
  before(async () => {
    ;[lost, server] = await Promise.all([startDebianPostgres(), startPrivatePostgres()])
    await query(server.url, 'create database restored')
    restored = { url: withDatabase(server.url, 'restored') }
    db = open(restored)
  })
  after(async () => {
    await db?.destroy()
    await Promise.all([lost, server].map((each) => each?.stop()))
  })

  const open = ({ url }: { url: string }) =>
    createDatabase({ url, applicationName: 'test', poolMax: 2, logger: nullLogger, statementMs: 60_000 })

  /** Stores events, each in a transaction of its own: from `from` to `to` seconds ago. */
  const storeEvents = ({ url }: { url: string }, from: number, to: number) =>
    query(
      url,
      `do $$ begin
        for ago in reverse ${from - 1}..${to} loop
          insert into payment_events (payment_id, merchant_id, sequence, type, actor, created_at)
          values (gen_random_uuid(), '${DEFAULT_MERCHANT_ID}', 1, 'payment.created', 'api', now() - ago * interval '1 second');
          commit;
        end loop;
      end $$`,
    )

  const stored = async ({ url }: { url: string }, order = 'id') => {
    const rows = await query<{ payment_id: string }>(url, `select payment_id from payment_events order by ${order}`)
    return rows.map(({ payment_id }) => payment_id)
  }

  const start = async () => {
    const own = open(restored)
    const component = databaseComponent(own, nullLogger)
    try {
      await component.start(new AbortController().signal)
      return 'started'
    } catch (error) {
      return (error as Error).message
    } finally {
      await component.stop()
    }
  }

  // Promise 88
  it('restored dump: services refuse it until migrate has run, and an old cursor then finds every event that it had not seen', async () => {
    await query(
      lost.url,
      `insert into payment_events (payment_id, merchant_id, sequence, type, actor, created_at)
      select gen_random_uuid(), '${DEFAULT_MERCHANT_ID}', 1, 'payment.created', 'api', now() - interval '1 hour'
      from generate_series(1, ${OLD})`,
    )
    await storeEvents(lost, SEEN + UNSEEN, 0)
    const lostDb = open(lost)
    const old = createReader(lostDb)
    while (old.seen.length < OLD + SEEN) await old.read(100)
    await lostDb.destroy()
    const before = await stored(lost)
    expect(before).to.have.length(OLD + SEEN + UNSEEN)
    await lost.restoreInto(restored.url)

    expect(await start())
      .to.include('restored from a dump')
      .and.include('npm run migrate')
    // As if an earlier run of migrate was killed after its first step.
    await query(restored.url, `update payment_events set xid = '0' where id <= 10000`)
    expect(await stored(restored, 'xid, id')).to.deep.equal(before)
    expect(await start()).to.include('npm run migrate')

    const { logger, linesOf } = recordingLogger()
    expect((await migrateAll(db, { logger })).applied).to.deep.equal([])
    expect(linesOf('events of a restored dump get the transaction id 0')).to.have.length(1)
    expect(await start()).to.equal('started')

    await storeEvents(restored, 200, 0)
    const all = await stored(restored)
    expect(await stored(restored, 'xid, id')).to.deep.equal(all)
    const reader = createReader(db, { after: old.cursor() })
    while ((await reader.read(100)).hasMore);
    expect(reader.seen).to.deep.equal(all.slice(-reader.seen.length))
    expect(reader.seen).to.include.members(all.slice(OLD + SEEN))
    // Ten minutes of repeats, and less than the 100 events that the search may add.
    expect(reader.seen.length - (UNSEEN + 200)).to.be.within(590, 710)
  }).timeout(120_000)
})
