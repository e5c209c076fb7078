import type { PaymentStatus } from '@cashflow/domain'
import type { Kysely, RawBuilder } from 'kysely'
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
}

/** @param isOld whether a payment is as old as asked */
export const readRows = (db: Kysely<Tables>, isOld: RawBuilder<boolean>) =>
  db.selectFrom('payments').select(['id', 'merchant_id', 'status', WAITING_FOR.as('waiting_for'), isOld.as('is_old')])
