import { type Kysely, sql, type Transaction } from 'kysely'
import { isOfMerchant } from '../payments/row.ts'
import type { Tables } from '../tables.ts'
import { lockEndpoint } from './endpoint.ts'
import type { CheckKind } from './tables.ts'

/** A check of a receiver, which services/webhooks runs. */
export interface EndpointCheck {
  readonly id: string
  readonly endpointId: string
  readonly kind: CheckKind
  readonly createdAt: Date
  readonly finishedAt: Date | null
  /** JSON of the process that ran it. Null until it has finished. */
  readonly report: unknown
}

export interface NewCheck {
  readonly merchantId: string
  readonly endpointId: string
  /** The id of the check. A repeated call with it finds the check that the first one started. */
  readonly id: string
  readonly kind: CheckKind
}

export type StartedCheck =
  | { readonly outcome: 'started'; readonly check: EndpointCheck }
  | { readonly outcome: 'unknown-endpoint' }
  /** The last one began less than a minute ago. */
  | { readonly outcome: 'too-soon'; readonly afterMs: number }

/** Time between the beginnings of two checks of an endpoint, or of two pings, in milliseconds. */
const APART_MS = 60_000
/** Reports of an endpoint and a kind that are kept. Each has about 20 kB of answers. */
const KEPT_MAX = 20
const COLUMNS = ['id', 'endpoint_id', 'kind', 'created_at', 'finished_at', 'report'] as const

/** Starts a check, and deletes the oldest of its kind. While one is not finished, that one is returned. */
export function startCheck(db: Kysely<Tables>, check: NewCheck): Promise<StartedCheck> {
  return db.transaction().execute((tx) => startCheckIn(tx, check))
}

/** The same in a transaction of the caller, which has locked nothing before. */
export async function startCheckIn(
  tx: Transaction<Tables>,
  { merchantId, endpointId, id, kind }: NewCheck,
): Promise<StartedCheck> {
  if (!(await lockEndpoint(tx, { merchantId, id: endpointId }))) return { outcome: 'unknown-endpoint' }
  const last = await tx
    .selectFrom('webhook_checks')
    .select(COLUMNS)
    // As `sql`: the builder has no intervals, and no EXTRACT.
    .select(
      sql<number>`${sql.lit(APART_MS)} - extract(epoch from clock_timestamp() - created_at)::float8 * 1000`.as(
        'after_ms',
      ),
    )
    .where('endpoint_id', '=', endpointId)
    .where('kind', '=', kind)
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirst()
  if (last && (last.finished_at === null || last.id === id)) return { outcome: 'started', check: toCheck(last) }
  if (last && last.after_ms > 0) return { outcome: 'too-soon', afterMs: Math.min(APART_MS, last.after_ms) }
  await tx
    .deleteFrom('webhook_checks')
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('webhook_checks')
        .select('id')
        .where('endpoint_id', '=', endpointId)
        .where('kind', '=', kind)
        .orderBy('created_at', 'desc')
        .offset(KEPT_MAX - 1),
    )
    .execute()
  const row = await tx
    .insertInto('webhook_checks')
    .values({ id, endpoint_id: endpointId, merchant_id: merchantId, kind })
    .returning(COLUMNS)
    .executeTakeFirstOrThrow()
  return { outcome: 'started', check: toCheck(row) }
}

/** Undefined if the merchant has no such check, or has deleted its endpoint. */
export async function findCheck(
  db: Kysely<Tables>,
  { merchantId, endpointId, id }: Omit<NewCheck, 'kind'>,
): Promise<EndpointCheck | undefined> {
  const row = await db
    .selectFrom('webhook_checks as c')
    .innerJoin('webhook_endpoints as e', 'e.id', 'c.endpoint_id')
    .select(COLUMNS.map((column) => `c.${column}` as const))
    .where('c.id', '=', id)
    .where('c.endpoint_id', '=', endpointId)
    .where(isOfMerchant(sql.val(merchantId), 'c'))
    .where('e.deleted_at', 'is', null)
    .executeTakeFirst()
  return row && toCheck(row)
}

const toCheck = (row: {
  id: string
  endpoint_id: string
  kind: CheckKind
  created_at: Date
  finished_at: Date | null
  report: unknown
}): EndpointCheck => ({
  id: row.id,
  endpointId: row.endpoint_id,
  kind: row.kind,
  createdAt: row.created_at,
  finishedAt: row.finished_at,
  report: row.report,
})
