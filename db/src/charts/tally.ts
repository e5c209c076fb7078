import type { SeenInstance } from '../instances/instances.ts'
import type { Tally } from '../tables.ts'
import { emptyBuckets, readBuckets } from './settled-after.ts'

const CREATED = 'cashflow_api_payments_created_total'
const SETTLED = 'cashflow_worker_settlements_total'

/** What a process had counted at the last sample. */
export interface Mark {
  readonly id: string
  readonly marked_at: Date
  readonly counted: Tally
}

export function tallyOf({ counters }: Pick<SeenInstance, 'counters'>): Tally {
  return { created: counters[CREATED] ?? 0, settled: counters[SETTLED] ?? 0, within: readBuckets(counters) }
}

/**
 * Sums what processes have counted since the last sample.
 * - A process that the last sample saw counts from its mark.
 * - A process that was started since then counts from 0.
 * - Any other process counts from now on: it is unknown when it counted what it has. So there is no spike after
 *   a crash of PostgreSQL, which empties `instances`, or after a process was frozen.
 */
export function countedSince(
  { lastAt, marks }: { lastAt: Date; marks: readonly Mark[] },
  instances: readonly Pick<SeenInstance, 'id' | 'startedAt' | 'counters'>[],
): Tally {
  const marked = new Map(marks.map(({ id, counted }) => [id, counted]))
  return instances.reduce((sum, instance) => {
    const now = tallyOf(instance)
    const before = marked.get(instance.id) ?? (instance.startedAt > lastAt ? NOTHING : now)
    return combine(sum, combine(now, before, growth), add)
  }, NOTHING)
}

const NOTHING: Tally = { created: 0, settled: 0, within: emptyBuckets() }

const add = (one: number, other: number) => one + other
const growth = (now: number, before: number) => Math.max(0, now - before)

function combine(one: Tally, other: Tally, by: (one: number, other: number) => number): Tally {
  return {
    created: by(one.created, other.created),
    settled: by(one.settled, other.settled),
    within: one.within.map((count, bucket) => by(count, other.within[bucket] ?? 0)),
  }
}
