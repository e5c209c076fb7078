import { type Kysely, type SqlBool, sql } from 'kysely'
import type { Tables } from '../tables.ts'
import { type SealedSecret, secretsOf } from './endpoint.ts'
import type { CheckKind } from './tables.ts'

export interface ClaimedCheck {
  readonly id: string
  /** Names this claim. */
  readonly token: string
  readonly endpointId: string
  readonly kind: CheckKind
  /** How often it was begun, with this time. */
  readonly starts: number
  readonly url: string
  readonly isDeleted: boolean
  readonly secrets: readonly SealedSecret[]
  /** When it was claimed, by the clock of the database. */
  readonly claimedAt: Date
}

// As `sql`: the builder has no intervals.
const NOW = sql<Date>`clock_timestamp()`

/** True if a check waits for a process. */
export const isCheckWaiting = sql<boolean>`exists (
  select from webhook_checks where finished_at is null and (lease_until is null or lease_until < clock_timestamp()))`

/**
 * Claims the oldest check that no process runs. A merchant with one under way comes later, so that slow receivers of one
 * merchant do not delay the others.
 */
export async function claimCheck(
  db: Kysely<Tables>,
  { token, leaseMs }: { readonly token: string; readonly leaseMs: number },
): Promise<ClaimedCheck | undefined> {
  const row = await db
    .with('next', (qb) =>
      qb
        .selectFrom('webhook_checks as c')
        .select('c.id')
        .where('c.finished_at', 'is', null)
        .where(sql<SqlBool>`(c.lease_until is null or c.lease_until < clock_timestamp())`)
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom('webhook_checks as other')
                .select('other.id')
                .whereRef('other.merchant_id', '=', 'c.merchant_id')
                .where('other.finished_at', 'is', null)
                .where('other.lease_until', '>', NOW),
            ),
          ),
        )
        .orderBy('c.created_at')
        .limit(1)
        .forUpdate()
        .skipLocked(),
    )
    .updateTable('webhook_checks as c')
    .from(['next', 'webhook_endpoints as e'])
    .set((eb) => ({
      claim_token: token,
      lease_until: sql<Date>`clock_timestamp() + ${leaseMs}::float8 * interval '1 ms'`,
      starts: eb('c.starts', '+', 1),
    }))
    .whereRef('c.id', '=', 'next.id')
    .whereRef('e.id', '=', 'c.endpoint_id')
    .returning(['c.id', 'c.endpoint_id', 'c.kind', 'c.starts', 'e.url', 'e.deleted_at', 'e.secret', 'e.secret_key_id'])
    .returning(['e.former_secret', 'e.former_secret_key_id', NOW.as('claimed_at')])
    .returning(sql<boolean>`coalesce(e.former_secret_until > clock_timestamp(), false)`.as('is_rotating'))
    .executeTakeFirst()
  if (!row) return undefined
  return {
    id: row.id,
    token,
    endpointId: row.endpoint_id,
    kind: row.kind,
    starts: row.starts,
    url: row.url,
    isDeleted: row.deleted_at !== null,
    secrets: secretsOf(row),
    claimedAt: row.claimed_at,
  }
}

/** Stores the report. Returns false if another process has claimed the check since. */
export async function finishCheck(
  db: Kysely<Tables>,
  { id, token, report }: { readonly id: string; readonly token: string; readonly report: object },
): Promise<boolean> {
  const row = await db
    .updateTable('webhook_checks')
    .set({ report: JSON.stringify(report), finished_at: NOW, claim_token: null, lease_until: null })
    .where('id', '=', id)
    .where('claim_token', '=', token)
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

/** Gives a check back that this process cannot end, so that another one begins it. This start does not count. */
export async function releaseCheck(
  db: Kysely<Tables>,
  { id, token }: { readonly id: string; readonly token: string },
): Promise<void> {
  await db
    .updateTable('webhook_checks')
    .set((eb) => ({ claim_token: null, lease_until: null, starts: eb('starts', '-', 1) }))
    .where('id', '=', id)
    .where('claim_token', '=', token)
    .execute()
}

/** Deletes checks that finished long ago. Returns their number, at most `limit`. */
export async function pruneChecks(
  db: Kysely<Tables>,
  { keptMs, limit }: { readonly keptMs: number; readonly limit: number },
): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('webhook_checks')
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('webhook_checks')
        .select('id')
        .where('finished_at', '<', sql<Date>`now() - ${keptMs}::float8 * interval '1 ms'`)
        .orderBy('finished_at')
        .limit(limit),
    )
    .executeTakeFirst()
  return Number(numDeletedRows)
}
