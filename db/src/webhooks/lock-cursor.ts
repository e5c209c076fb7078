import { type Kysely, sql, type Transaction } from 'kysely'
import { EPOCH, HORIZON } from '../events/feed.ts'
import type { Tables } from '../tables.ts'

/** A place in the feed: events after it are not read yet. */
export interface CursorPlace {
  readonly epoch: string
  readonly xid: string
  readonly id: string
  readonly reachedAt: Date
}

/** Of a cursor that was inserted just now. */
const NO_EPOCH = ''

/**
 * Locks the cursor of a merchant, and makes it if it is missing, so that no process fans out events of the merchant until the
 * transaction ends. Every change of the set of endpoints that get events begins with this statement.
 *
 * @returns the cursor's place; undefined if it has none yet
 */
export async function lockCursor(tx: Transaction<Tables>, merchantId: string): Promise<CursorPlace | undefined> {
  const row = await tx
    .insertInto('webhook_cursors')
    .values({ merchant_id: merchantId, epoch: NO_EPOCH, xid: '0', id: '0', reached_at: new Date(0) })
    .onConflict((conflict) =>
      conflict.column('merchant_id').doUpdateSet((eb) => ({ merchant_id: eb.ref('excluded.merchant_id') })),
    )
    .returning(['epoch', 'xid', 'id', 'reached_at'])
    .executeTakeFirstOrThrow()
  if (row.epoch === NO_EPOCH) return undefined
  return { epoch: row.epoch, xid: row.xid, id: row.id, reachedAt: row.reached_at }
}

/** The state of the server from which later events are told apart. */
export interface Horizon {
  readonly epoch: string
  /** Every event below this xid was committed before. */
  readonly xid: string
  /** A place for a cursor: no event that is committed later is before it. */
  readonly place: CursorPlace
}

/**
 * Reads the horizon. It is called once in a transaction, after its locks: a second call would see the sessions of the first
 * one (`pg_stat_activity`).
 */
export async function readHorizon(tx: Transaction<Tables>): Promise<Horizon> {
  // As `sql`: the builder has no functions of the server. A cursor must not be at an xid that is not assigned yet, and this
  // transaction has the latest one that is certain to be.
  const { epoch, xid, place, now } = await tx
    .selectNoFrom([
      EPOCH.as('epoch'),
      HORIZON.as('xid'),
      sql<string>`least(${HORIZON}, pg_current_xact_id())`.as('place'),
      sql<Date>`clock_timestamp()`.as('now'),
    ])
    .executeTakeFirstOrThrow()
  return { epoch, xid, place: { epoch, xid: place, id: '0', reachedAt: now } }
}

/** Moves a locked cursor to the horizon if no endpoint of the merchant waits for what is before it. */
export async function skipToHorizon(
  tx: Transaction<Tables>,
  { merchantId, horizon }: { merchantId: string; horizon: Horizon },
): Promise<void> {
  const { epoch, xid, id, reachedAt } = horizon.place
  await tx
    .updateTable('webhook_cursors')
    .set({ epoch, xid, id, reached_at: reachedAt })
    .where('merchant_id', '=', merchantId)
    .where(({ not, exists }) => not(exists(enabledEndpoints(tx, merchantId))))
    .execute()
}

function enabledEndpoints(db: Kysely<Tables>, merchantId: string) {
  return db
    .selectFrom('webhook_endpoints')
    .select('id')
    .where('merchant_id', '=', merchantId)
    .where('deleted_at', 'is', null)
    .where('disabled_at', 'is', null)
    .limit(sql.lit(1))
}
