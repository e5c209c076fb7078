import {
  eventually,
  nullLogger,
  openClient,
  query,
  type ReplicatedPostgres,
  startReplicatedPostgres,
} from '@cashflow/testing'
import { Registry } from '@prometheus-io/client'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createDatabase, createFacts, registerFacts } from '../../src/index.ts'

describe('synchronous standby', function () {
  this.timeout(180_000)
  let postgres: ReplicatedPostgres
  const cleanUps: (() => unknown)[] = []
  before(async () => {
    // A primary ends the connection of a silent standby after this time.
    postgres = await startReplicatedPostgres({ settings: { wal_sender_timeout: '2s' } })
  })
  after(async () => {
    for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
    await postgres.stop()
  })

  /** Follows the facts as a process does that requires a standby. */
  async function observe(url: string) {
    const db = createDatabase({ url, applicationName: 'facts', poolMax: 1, standbyRequired: true, logger: nullLogger })
    const facts = createFacts({ db, standbyRequired: true, logger: nullLogger, lookMs: 20 })
    const registry = new Registry()
    registerFacts(registry, facts)
    cleanUps.push(
      () => db.destroy(),
      () => facts.stop(),
    )
    await facts.start(new AbortController().signal)
    /** Lines of a scrape about standbys. */
    return async () => (await registry.metrics()).match(/^cashflow_db_(synchronous_standbys|standby_required) .*$/gm)
  }
  const required = 'cashflow_db_standby_required 1'
  const lines = (standbys: number) => [`cashflow_db_synchronous_standbys ${standbys}`, required]

  it('facts: show the synchronous standby to a role with pg_read_all_stats, and hide it from any other', async () => {
    await query(postgres.url, "create role ordinary login password 'x'")
    await query(postgres.url, 'grant select on all tables in schema public to ordinary')
    const url = Object.assign(new URL(postgres.url), { username: 'ordinary', password: 'x' }).href
    const scrape = await observe(url)
    await eventually(async () => expect(await scrape()).to.deep.equal([required]))
    await query(postgres.url, 'grant pg_read_all_stats to ordinary')
    await eventually(async () => expect(await scrape()).to.deep.equal(lines(1)))
    await query(postgres.url, 'revoke pg_read_all_stats from ordinary')
    await eventually(async () => expect(await scrape()).to.deep.equal([required]))
  })

  it('facts: count no standby that replicates without being synchronous, and none that is gone', async () => {
    const scrape = await observe(postgres.url)
    await eventually(async () => expect(await scrape()).to.deep.equal(lines(1)))
    const admin = await openClient(postgres.url)
    cleanUps.push(() => admin.end())
    const setNames = async (names: string) => {
      await admin.query(`alter system set synchronous_standby_names = '${names}'`)
      await admin.query('select pg_reload_conf()')
    }
    await setNames('another')
    await eventually(async () => expect(await scrape()).to.deep.equal(lines(0)))
    await setNames('ANY 1 (standby)')
    await eventually(async () => expect(await scrape()).to.deep.equal(lines(1)))
    postgres.freezeReplication()
    await eventually(async () => expect(await scrape()).to.deep.equal(lines(0)))
  })

  it('db: a process that requires a standby uses no primary without one, until the operator has attached it', async () => {
    await postgres.failOver()
    const db = createDatabase({
      ...{ url: postgres.url, applicationName: 'test', poolMax: 1, logger: nullLogger },
      standbyRequired: true,
    })
    cleanUps.push(() => db.destroy())
    const one = () => sql<{ one: number }>`select 1 as one`.execute(db).then(({ rows }) => rows, String)
    expect(await one())
      .to.include('synchronous_standby_names is empty')
      .and.include('REQUIRE_STANDBY=no')
    await postgres.attachStandby()
    expect(await one()).to.deep.equal([{ one: 1 }])
  })
})
