import { randomUUID } from 'node:crypto'
import { defined } from '@cashflow/async'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import type { Kysely } from 'kysely'
import { type FeedCursor, type FeedPage, readFeed, type Tables } from '../../src/index.ts'

/** The parameters of an event's insert by `INSERT_EVENT`: a new payment's first one. */
export const eventValues = (merchantId = DEFAULT_MERCHANT_ID, type = 'payment.created', createdAt = new Date()) =>
  [randomUUID(), merchantId, type, createdAt] as const

export const INSERT_EVENT = `insert into payment_events (payment_id, merchant_id, sequence, type, actor, created_at)
  values ($1, $2, 1, $3, 'api', $4) returning payment_id`

export const idsOf = ({ events }: FeedPage) => events.map(({ paymentId }) => paymentId)

/** A reader that keeps its cursor, and all that it was shown. */
export function createReader(
  db: Kysely<Tables>,
  { merchantId = DEFAULT_MERCHANT_ID, after = undefined as FeedCursor | undefined } = {},
) {
  const seen: string[] = []
  let cursor = after
  return {
    seen,
    cursor: () => defined(cursor, 'cursor'),
    async read(limit = 100): Promise<FeedPage> {
      const page = await readFeed(db, { merchantId, after: cursor, limit })
      seen.push(...idsOf(page))
      cursor = page.next
      return page
    },
  }
}
