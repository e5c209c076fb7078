import type { PaymentStatus } from '@cashflow/domain'
import { type Kysely, type RawBuilder, type SqlBool, sql } from 'kysely'
import { WAITING_FOR, type Waiting } from '../payments/view.ts'
import type { LeftOut } from '../postgres/past-damage.ts'
import type { Tables } from '../tables.ts'

/** Rows that a search reads at most. A page of rare payments may show none, and the search goes on behind it. */
export const READ_MAX = 10_000
/** Time after which a page with unreadable rows ends, in milliseconds. */
export const CUT_MS = 10_000

export interface PaymentSearch {
  readonly merchantId?: string | undefined
  readonly status?: PaymentStatus | undefined
  /** Only PENDING payments wait. */
  readonly waitingFor?: Waiting['for'] | undefined
  /** Age that payments have at least, in milliseconds. */
  readonly olderThanMs?: number | undefined
  /** `next` of the page before. */
  readonly after?: string | undefined
  readonly limit: number
}

export interface ReadRow {
  readonly id: string
  readonly redrive_at: Date | null
  readonly merchant_id: string
  readonly status: PaymentStatus
  readonly waiting_for: Waiting['for'] | null
  readonly is_old: boolean
}

export interface ReadRows {
  readonly rows: readonly ReadRow[]
  readonly leftOut: readonly LeftOut[]
  /** The id behind which to go on. Undefined if all were read. */
  readonly next: string | undefined
  /** Rows that were looked at, if `next` is given. */
  readonly lookedAt: number
}

/** @param isOld whether a payment is as old as asked */
export const readRows = (db: Kysely<Tables>, isOld: RawBuilder<boolean>) =>
  db
    .selectFrom('payments')
    .select(['id', 'redrive_at', 'merchant_id', 'status', WAITING_FOR.as('waiting_for'), isOld.as('is_old')])

/**
 * Reads the rows that a search wants: one more than the page has. If `lookedMax` were looked at, it reads also the last of those, as
 * the next page begins behind it. PostgreSQL stops as soon as it has found enough. To read all of them would take Node longer
 * than PostgreSQL.
 *
 * @param rows at most `lookedMax`, or a few more of the last one's time
 */
export async function readWanted(
  db: Kysely<Tables>,
  rows: ReturnType<typeof readRows>,
  { order, lookedMax }: { order: RawBuilder<unknown>; lookedMax: number },
  search: PaymentSearch,
): Promise<ReadRows> {
  const { merchantId, status, waitingFor, olderThanMs, limit } = search
  // As `sql`: the builder's window functions read worse.
  const numbered = db
    .selectFrom(rows.as('looked'))
    .selectAll('looked')
    .select(sql<number>`(row_number() over (order by ${order}))::int`.as('number'))
  const found = await db
    .selectFrom(numbered.as('looked'))
    .selectAll('looked')
    .where((eb) =>
      eb.or([
        eb('number', '>=', lookedMax),
        eb.and([
          ...(merchantId === undefined ? [] : [eb('merchant_id', '=', merchantId)]),
          ...(status === undefined ? [] : [eb('status', '=', status)]),
          ...(waitingFor === undefined ? [] : [eb('waiting_for', '=', waitingFor)]),
          ...(olderThanMs === undefined ? [] : [eb.ref('is_old').$castTo<SqlBool>()]),
        ]),
      ]),
    )
    .orderBy(order)
    .limit(limit + 1)
    .execute()
  const last = found.at(-1)
  const lookedAt = last?.number ?? 0
  return { rows: found, leftOut: [], next: lookedAt >= lookedMax ? last?.id : undefined, lookedAt }
}
