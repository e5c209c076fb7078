import { compiledOnce, type ParameterOf } from '@cashflow/outbox'
import { type Kysely, type SqlBool, sql } from 'kysely'
import { EPOCH, HORIZON } from '../events/feed.ts'
import type { Tables } from '../tables.ts'
import { isCheckWaiting } from './claim-check.ts'

/** What there is to do. */
export interface WebhookLook {
  /** Merchants with events that are not fanned out yet. */
  readonly merchantIds: readonly string[]
  /** True if a delivery is due. */
  readonly isDue: boolean
  /** True if a merchant has asked for a replay that is not finished. */
  readonly isReplaying: boolean
  /** True if a check of a receiver waits for a process. */
  readonly isChecking: boolean
  /** Number of merchants whose events it has looked at. */
  readonly merchants: number
}

interface LookOptions {
  /** Looks at merchants behind this one first. */
  readonly after: string
  readonly merchantsMax: number
  /** Merchants that are left out. */
  readonly aside?: readonly string[]
  /** Undefined for all others. */
  readonly among?: readonly string[]
}

/**
 * Looks for work, without a lock. It reads events: a damaged one of any of the merchants is an error, so that this merchant has
 * to be found (`listWebhookMerchants`) and left out.
 */
export async function lookForWebhooks(
  db: Kysely<Tables>,
  { after, merchantsMax, aside = [], among }: LookOptions,
): Promise<WebhookLook> {
  const rows = await LOOK(db, { after, merchantsMax, aside, among: among ?? null })
  return {
    merchantIds: rows.flatMap(({ merchant_id }) => merchant_id ?? []),
    isDue: rows[0]?.is_due === true,
    isReplaying: rows[0]?.is_replaying === true,
    isChecking: rows[0]?.is_checking === true,
    merchants: Number(rows[0]?.merchants ?? 0),
  }
}

/** Lists the merchants whose events are fanned out. */
export async function listWebhookMerchants(db: Kysely<Tables>): Promise<string[]> {
  const rows = await db.selectFrom('webhook_cursors').select('merchant_id').orderBy('merchant_id').execute()
  return rows.map(({ merchant_id }) => merchant_id)
}

interface Values {
  after: string
  merchantsMax: number
  aside: readonly string[]
  among: readonly string[] | null
}

const LOOK = compiledOnce((db: Kysely<Tables>, parameter: ParameterOf<Values>) =>
  db
    .with(
      (cte) => cte('server').materialized(),
      (qb) => qb.selectNoFrom([EPOCH.as('epoch'), HORIZON.as('horizon')]),
    )
    .with('behind', (qb) =>
      qb
        .selectFrom('webhook_cursors as c')
        .select('c.merchant_id')
        // The builder has no ALL and no ANY.
        .where('c.merchant_id', '<>', sql<string>`all(${parameter('aside')}::uuid[])`)
        .where(sql<SqlBool>`(c.merchant_id = any(${parameter('among')}::uuid[])) is not false`)
        .where((eb) =>
          eb.or([
            eb('c.epoch', '!=', qb.selectFrom('server').select('epoch')),
            eb.exists(
              eb
                .selectFrom('payment_events as e')
                .select('e.id')
                .whereRef('e.merchant_id', '=', 'c.merchant_id')
                .where(sql<SqlBool>`(e.xid, e.id) > (c.xid, c.id)`)
                .where('e.xid', '<', qb.selectFrom('server').select('horizon')),
            ),
          ]),
        )
        .orderBy((eb) => eb('c.merchant_id', '<=', parameter('after')))
        .orderBy('c.merchant_id')
        .limit(parameter('merchantsMax')),
    )
    .selectFrom('server')
    .leftJoin('behind', (on) => on.onTrue())
    .select('behind.merchant_id')
    .select((eb) =>
      eb
        .or(
          [true, false].map((isFailing) =>
            eb.exists(
              eb
                .selectFrom('webhook_queues as q')
                .select('q.endpoint_id')
                .where('q.is_enabled', '=', sql.lit(true))
                .where('q.is_failing', '=', sql.lit(isFailing))
                .where('q.due_at', '<=', sql<Date>`now()`)
                .limit(sql.lit(1)),
            ),
          ),
        )
        .as('is_due'),
    )
    .select((eb) =>
      eb
        .exists(eb.selectFrom('webhook_replays').select('id').where('finished_at', 'is', null).limit(sql.lit(1)))
        .as('is_replaying'),
    )
    .select(isCheckWaiting.as('is_checking'))
    .select((eb) =>
      eb
        .selectFrom('webhook_cursors')
        .select(({ fn }) => fn.countAll<string>().as('count'))
        .as('merchants'),
    ),
)
