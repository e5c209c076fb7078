import { expect } from 'chai'
import { sql } from 'kysely'
import { type ChartRange, readCharts } from '../../src/operator.ts'
import { openExplained } from '../payments/explained-session.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

const SIZES = { '5m': [30, 10], '1h': [120, 30], '24h': [288, 300] } as const

describe('charts', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())
  beforeEach(() => sql`truncate chart_slots`.execute(store.db))

  /** Stores slots of 10 seconds: the first one has ended last. Each has 100 payments of 5 to 9 ms, and one of a minute. */
  const fill = (slots: number, daysAgo = 0) =>
    sql`insert into chart_slots
      select ago.number % 8640, to_timestamp(ago.number * 10::float8) - ${daysAgo} * interval '1 day', 10000, 200, 101,
        array_fill(0, array[1]) || 100 || array_fill(0, array[14]) || 1 || array_fill(0, array[7]), 3, 1500, 7
      from (select floor(extract(epoch from clock_timestamp()) / 10)::int - i as number
        from generate_series(1, ${slots}::int) i) ago
      on conflict do nothing`.execute(store.db)

  for (const range of Object.keys(SIZES) as ChartRange[])
    it(`charts: ${range} has points of equal width that end with the last slot, all of them null without slots`, async () => {
      const [points, width] = SIZES[range]
      const charts = await readCharts(store.db, range)
      expect(charts).to.include({ range, step_s: width })
      expect(charts.at).to.have.length(points)
      for (const [point, at] of charts.at.entries()) {
        expect(at % width).to.equal(0)
        if (point > 0) expect(at - (charts.at[point - 1] ?? 0)).to.equal(width)
      }
      const now = Date.now() / 1_000
      expect(charts.at.at(-1)).to.be.within(now - width - 11, now - 9)
      for (const part of ['created', 'settled', 'p50_ms', 'p99_ms', 'backlog', 'lag_ms', 'queue'] as const)
        expect(charts[part]).to.deep.equal(Array(points).fill(null))
    })

  for (const range of Object.keys(SIZES) as ChartRange[])
    it(`charts: ${range} has rates, percentiles and the state of each point from a full ring`, async () => {
      await fill(8_640)
      const charts = await readCharts(store.db, range)
      // A slot that has ended since then is not stored.
      const all = (values: readonly (number | null)[]) => new Set(values.slice(0, -1))
      expect([...all(charts.created)]).to.deep.equal([20])
      expect([...all(charts.settled)]).to.deep.equal([10.1])
      expect([...all(charts.backlog)]).to.deep.equal([3])
      expect([...all(charts.lag_ms)]).to.deep.equal([1_500])
      expect([...all(charts.queue)]).to.deep.equal([7])
      for (const ms of all(charts.p50_ms)) expect(ms).to.be.within(5, 9)
      for (const ms of all(charts.p99_ms)) expect(ms).to.be.within(5, 9)
    })

  it('charts: slots of yesterday that no process has overwritten are left out', async () => {
    await fill(8_640, 1)
    expect(new Set((await readCharts(store.db, '24h')).created)).to.deep.equal(new Set([null]))
  })

  it('charts: a gap is null, and a slot without counts has its backlog', async () => {
    await fill(30)
    await sql`delete from chart_slots where slot in (select slot from chart_slots order by at desc offset 10 limit 5)`.execute(
      store.db,
    )
    await sql`update chart_slots set span_ms = null, created = null, settled = null, settled_within = null
      where slot in (select slot from chart_slots order by at desc offset 10 limit 1)`.execute(store.db)
    const { created, backlog, p50_ms } = await readCharts(store.db, '5m')
    expect(backlog.slice(0, -1).filter((value) => value === null)).to.have.length(5)
    expect(created.slice(0, -1).filter((value) => value === null)).to.have.length(6)
    expect(p50_ms.slice(0, -1).filter((value) => value === null)).to.have.length(6)
  })

  it('charts: a rate divides by the time that the counts cover', async () => {
    await fill(30)
    await sql`update chart_slots set span_ms = 40000, created = 400`.execute(store.db)
    expect(new Set((await readCharts(store.db, '5m')).created.slice(0, -1))).to.deep.equal(new Set([10]))
  })

  it('charts: percentiles of a long range come from the summed buckets of its slots', async () => {
    await fill(8_640)
    // In one slot of each five minutes all payments took about a minute.
    await sql`update chart_slots set settled = 2000,
      settled_within = array_fill(0, array[16]) || 2000 || array_fill(0, array[7]) where slot % 30 = 0`.execute(
      store.db,
    )
    const { p50_ms, p99_ms } = await readCharts(store.db, '24h')
    for (const ms of p50_ms.slice(1, -1)) expect(ms).to.be.below(10)
    for (const ms of p99_ms.slice(1, -1)) expect(ms).to.be.within(20_000, 130_000)
  })

  for (const range of Object.keys(SIZES) as ChartRange[])
    it(`charts: ${range} reads its own slots by the primary key, and no others`, async () => {
      await fill(8_640)
      const explained = await openExplained(store.db)
      const { indexes, rowsOf } = await explained.readBy(() => readCharts(explained.db, range))
      await explained.db.destroy()
      expect([...indexes]).to.deep.equal(['chart_slots_pkey'])
      const [points, width] = SIZES[range]
      expect(rowsOf.chart_slots).to.be.within((points * width) / 10 - 30, (points * width) / 10)
    })
})
