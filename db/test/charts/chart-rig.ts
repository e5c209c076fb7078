import { randomUUID } from 'node:crypto'
import { openClient } from '@cashflow/testing'
import { sql } from 'kysely'
import { createTestStore, type TestStore } from '../test-store.ts'

export const CREATED = 'cashflow_api_payments_created_total'
export const SETTLED = 'cashflow_worker_settlements_total'

export interface ChartRig extends TestStore {
  /** Writes the row of a process that started at a time, in seconds before now. Returns its id. */
  process(values: { counters: Record<string, number>; startedAgo?: number; id?: string }): Promise<string>
  /** Makes the last sample older: its slot and its marks. */
  age(seconds: number): Promise<void>
  slots(): Promise<{ created: number | null; settled: number | null; span_ms: number | null }[]>
}

/** A database with processes whose rows the test writes, instead of heartbeats. */
export async function createChartRig(): Promise<ChartRig> {
  const store = await createTestStore()
  const { db } = store
  return {
    ...store,
    async process({ counters, startedAgo = 3_600, id = randomUUID() }) {
      await sql`insert into instances (id, role, instance, version, started_at, counters)
        values (${id}, 'worker', 'host:1', '1', clock_timestamp() - ${startedAgo} * interval '1 second', ${JSON.stringify(counters)})
        on conflict (id) do update set counters = excluded.counters, seen_at = clock_timestamp()`.execute(db)
      return id
    },
    async age(seconds) {
      const places = Math.round(seconds / 10)
      // In the order of time: the slot before has left its place when the next one takes it.
      const { rows } = await sql<{ slot: number }>`select slot from chart_slots order by at`.execute(db)
      for (const { slot } of rows)
        await sql`update chart_slots set slot = ${(slot - places + 8_640) % 8_640}, at = at - ${places * 10} * interval '1 second'
          where slot = ${slot}`.execute(db)
      await sql`update chart_marks set marked_at = marked_at - ${seconds} * interval '1 second'`.execute(db)
    },
    async slots() {
      return await db.selectFrom('chart_slots').select(['created', 'settled', 'span_ms']).orderBy('at').execute()
    },
  }
}

/** Crashes as PostgreSQL would: after it, unlogged tables are empty. */
export async function crash(url: string): Promise<void> {
  const client = await openClient(url)
  await client.query('truncate instances, chart_slots, chart_marks')
  await client.end()
}
