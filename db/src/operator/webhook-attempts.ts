import { type Kysely, sql } from 'kysely'
import type { Tables } from '../tables.ts'

/** Attempts of an endpoint that its rate of successes comes from, at most. */
const COUNTED_MAX = 200
const LISTED_MAX = 100

export interface AttemptRates {
  /** The attempts of its last deliveries, at most 200. */
  readonly attempts: number
  readonly succeeded: number
}

/** Counts the attempts of the last deliveries of endpoints, by their ids. One without attempts is missing. */
export async function readAttemptRates(
  db: Kysely<Tables>,
  endpointIds: readonly string[],
): Promise<ReadonlyMap<string, AttemptRates>> {
  if (endpointIds.length === 0) return new Map()
  const rows = await db
    .selectFrom('webhook_endpoints as e')
    .innerJoinLateral(
      // By the primary key, backwards.
      (eb) =>
        eb
          .selectFrom('webhook_attempts')
          .select('status')
          .whereRef('webhook_attempts.endpoint_id', '=', 'e.id')
          .orderBy('delivery_id', 'desc')
          .orderBy('webhook_attempts.id', 'desc')
          .limit(COUNTED_MAX)
          .as('a'),
      (join) => join.onTrue(),
    )
    .select('e.id')
    // As `sql`: the builder's FILTER reads worse.
    .select([
      sql<number>`count(*)::int`.as('attempts'),
      sql<number>`(count(*) filter (where a.status between 200 and 299))::int`.as('succeeded'),
    ])
    .where('e.id', 'in', endpointIds)
    .groupBy('e.id')
    .execute()
  return new Map(rows.map(({ id, ...rates }) => [id, rates]))
}

/** Reads the last 100 attempts of a delivery, the oldest first. */
export async function readAttempts(
  db: Kysely<Tables>,
  { endpointId, deliveryId }: { endpointId: string; deliveryId: string },
) {
  const last = await db
    .selectFrom('webhook_attempts')
    .select(['at', 'duration_ms as durationMs', 'status', 'error', 'answer'])
    .where('endpoint_id', '=', endpointId)
    .where('delivery_id', '=', deliveryId)
    .orderBy('id', 'desc')
    .limit(LISTED_MAX)
    .execute()
  return last.reverse()
}
