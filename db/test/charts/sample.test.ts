import { randomUUID } from 'node:crypto'
import { appendMessages } from '@cashflow/outbox'
import { aMessage } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { sampleOnce } from '../../src/charts/sample.ts'
import { type ChartRig, CREATED, crash, createChartRig, SETTLED } from './chart-rig.ts'

const SLOT_S = 10

describe('samples of the charts', () => {
  let rig: ChartRig
  beforeEach(async () => {
    rig = await createChartRig()
  })
  afterEach(() => rig.drop())

  /** Samples as if 10 seconds had passed since the last sample. */
  async function sampleLater(seconds = SLOT_S): Promise<void> {
    await rig.age(seconds)
    expect((await sampleOnce(rig.db)).isWritten).to.equal(true)
  }

  const last = async () => (await rig.slots()).at(-1) ?? expect.fail('no slot')

  it('chart samples: the first one counts nothing, the next one what came since then', async () => {
    const id = await rig.process({ counters: { [CREATED]: 1_000, [SETTLED]: 900, settled_from_5ms: 900 } })
    expect(await sampleOnce(rig.db)).to.include({ isWritten: true })
    expect(await last()).to.deep.equal({ created: null, settled: null, span_ms: null })
    await rig.process({
      id,
      counters: { [CREATED]: 1_050, [SETTLED]: 930, settled_from_5ms: 920, settled_from_0ms: 10 },
    })
    await sampleLater()
    expect(await last()).to.include({ created: 50, settled: 30 })
    expect((await last()).span_ms).to.be.within(10_000, 20_000)
    const { rows } = await sql<{ within: number[] }>`
      select settled_within as within from chart_slots order by at desc limit 1`.execute(rig.db)
    expect(rows[0]?.within).to.deep.equal([10, 20, ...Array(22).fill(0)])
  })

  // Promise 139
  it('chart samples: a restarted process makes no negative rate, and counts from 0', async () => {
    const id = await rig.process({ counters: { [CREATED]: 5_000 } })
    await sampleOnce(rig.db)
    await sql`delete from instances where id = ${id}`.execute(rig.db)
    await rig.process({ startedAgo: 5, counters: { [CREATED]: 7 } })
    await sampleLater()
    expect(await last()).to.include({ created: 7, settled: 0 })
  })

  it('chart samples: a process that started before the last sample, which did not see it, counts from now on', async () => {
    await rig.process({ counters: { [CREATED]: 1 } })
    await sampleOnce(rig.db)
    const id = await rig.process({ startedAgo: 3_600, counters: { [CREATED]: 80_000 } })
    await sampleLater()
    expect(await last()).to.include({ created: 0 })
    await rig.process({ id, counters: { [CREATED]: 80_005 } })
    await sampleLater()
    expect(await last()).to.include({ created: 5 })
  })

  it('chart samples: a process whose row comes back counts nothing of the time without it', async () => {
    await rig.process({ counters: {} })
    const id = await rig.process({ counters: { [CREATED]: 10 } })
    await sampleOnce(rig.db)
    await sql`delete from instances where id = ${id}`.execute(rig.db)
    await sampleLater()
    await rig.process({ id, counters: { [CREATED]: 500 } })
    await sampleLater()
    await sampleLater()
    expect((await rig.slots()).map(({ created }) => created)).to.deep.equal([null, 0, 0, 0])
  })

  // Promise 139
  it('chart samples: a crash of PostgreSQL, which empties the tables, makes no spike', async () => {
    const id = await rig.process({ counters: { [CREATED]: 10_000 } })
    await sampleOnce(rig.db)
    await crash(rig.database.url)
    await rig.process({ id, counters: { [CREATED]: 20_000 } })
    await sampleOnce(rig.db)
    await rig.process({ counters: { [CREATED]: 30_000 } }) // Its heartbeat comes after the first sample.
    await rig.process({ id, counters: { [CREATED]: 20_003 } })
    await sampleLater()
    expect((await rig.slots()).map(({ created }) => created)).to.deep.equal([null, 3])
  })

  // Promise 139
  it('chart samples: after a gap of 40 seconds the counts have their span, after one of over a minute there are none', async () => {
    const id = await rig.process({ counters: { [CREATED]: 0 } })
    await sampleOnce(rig.db)
    await rig.process({ id, counters: { [CREATED]: 400 } })
    await sampleLater(40)
    expect(await last()).to.include({ created: 400 })
    expect((await last()).span_ms).to.be.within(40_000, 50_000)
    await rig.process({ id, counters: { [CREATED]: 90_000 } })
    await sampleLater(70)
    expect(await last()).to.deep.equal({ created: null, settled: null, span_ms: null })
    await rig.process({ id, counters: { [CREATED]: 90_001 } })
    await sampleLater()
    expect(await last()).to.include({ created: 1 })
  })

  // Promise 139
  it('chart samples: of many samplers at the same moment one writes each slot, and nothing is counted twice or lost', async () => {
    const id = await rig.process({ counters: { [CREATED]: 0 } })
    await sampleOnce(rig.db)
    for (let round = 1; round <= 10; round++) {
      await rig.process({ id, counters: { [CREATED]: round * 100 } })
      await rig.age(SLOT_S)
      const sampled = await Promise.all(Array.from({ length: 8 }, () => sampleOnce(rig.db)))
      expect(sampled.some(({ isWritten }) => isWritten)).to.equal(true)
    }
    const slots = await rig.slots()
    expect(slots.reduce((sum, { created }) => sum + (created ?? 0), 0)).to.equal(1_000)
    expect(await rig.db.selectFrom('chart_marks').select('id').execute()).to.deep.equal([{ id }])
  })

  it('chart samples: a sampler that finds another one at work does nothing', async () => {
    await rig.process({ counters: {} })
    await rig.db.transaction().execute(async (tx) => {
      expect((await sampleOnce(rig.db)).isWritten).to.equal(true)
      await rig.age(SLOT_S)
      await sql`select pg_advisory_xact_lock(hashtextextended('cashflow_chart_slots ' || current_schema(), 0))`.execute(
        tx,
      )
      expect((await sampleOnce(rig.db)).isWritten).to.equal(false)
    })
    expect((await sampleOnce(rig.db)).isWritten).to.equal(true)
  })

  for (const wrong of ['-1 day', '365 days'])
    it(`chart samples: a slot whose time is wrong by ${wrong} is overwritten in its place`, async () => {
      await sampleOnce(rig.db)
      // The whole ring: the sample may be one of the next slot.
      await sql`insert into chart_slots (slot, at, backlog)
        select n % 8640, to_timestamp(n * 10::float8) + ${sql.lit(wrong)}::interval, 99
        from generate_series(floor(extract(epoch from now()) / 10)::int - 4000, floor(extract(epoch from now()) / 10)::int + 4639) n
        on conflict (slot) do update set at = excluded.at, backlog = 99`.execute(rig.db)
      expect((await sampleOnce(rig.db)).isWritten).to.equal(true)
      const { rows } = await sql`select backlog, at between now() - interval '30 seconds' and now() as is_recent
        from chart_slots where backlog <> 99`.execute(rig.db)
      expect(rows).to.deep.equal([{ backlog: 0, is_recent: true }])
    })

  it('chart samples: a slot has the backlog, its lag, and the queue as the latest relay sees it', async () => {
    await rig.db.transaction().execute((tx) => appendMessages(tx, [aMessage({}), aMessage({})]))
    await sql`insert into instances (id, role, instance, version, started_at, seen_at, counters, queue_depths) values
      (${randomUUID()}, 'relay', 'a', '1', now(), now() - interval '20 seconds', '{}', '{"payments": 70}'),
      (${randomUUID()}, 'relay', 'b', '1', now(), now() - interval '3 seconds', '{}', '{"payments": 5}'),
      (${randomUUID()}, 'relay', 'c', '1', now(), now(), '{}', null)`.execute(rig.db)
    await sampleOnce(rig.db)
    const [slot] = await rig.db.selectFrom('chart_slots').selectAll().execute()
    expect(slot).to.include({ backlog: 2, queue_depth: 5 })
    expect(slot?.lag_ms).to.be.at.least(0)
  })

  it('chart samples: an outbox that PostgreSQL cannot read leaves out the backlog alone, and the reason is told', async () => {
    await sql`alter table outbox_messages rename to away`.execute(rig.db)
    const { isWritten, unread } = await sampleOnce(rig.db)
    expect({ isWritten, unread }).to.have.nested.property('unread.code', '42P01')
    expect(isWritten).to.equal(true)
    const slots = await rig.db.selectFrom('chart_slots').select(['backlog', 'lag_ms']).execute()
    expect(slots).to.deep.equal([{ backlog: null, lag_ms: null }])
  })

  it('chart samples: they wait for no disk and no standby', async () => {
    const { rows } = await sql`select relname, relpersistence from pg_class
      where relname in ('chart_slots', 'chart_marks') order by 1`.execute(rig.db)
    expect(rows).to.deep.equal([
      { relname: 'chart_marks', relpersistence: 'u' },
      { relname: 'chart_slots', relpersistence: 'u' },
    ])
  })
})
