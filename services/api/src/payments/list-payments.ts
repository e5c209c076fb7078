import { type ListedPayment, listPaymentsPastDamage, type Tables, type UnreadablePayment } from '@cashflow/db'
import { CURRENCIES, type Currency, type PaymentStatus, TRANSITIONS } from '@cashflow/domain'
import type { Logger } from '@cashflow/runtime'
import type { RequestHandler } from 'express'
import type { Kysely } from 'kysely'
import * as z from 'zod'
import type { Cursors } from '../cursor.ts'
import { pageCursor, pageLimit, readQuery } from '../query.ts'
import type { RequestQueue } from '../request-queue.ts'
import { sendJsonText } from '../send-json.ts'
import { rfc3339Time, TIME_FORM } from '../time.ts'
import { paymentJson } from './payment-json.ts'

export interface ListPaymentsOptions {
  db: Kysely<Tables>
  lists: RequestQueue
  cursors: Cursors
  logger: Logger
}

const TEXT_MAX = 255
/** Characters of a page, unless its only payment has more: answers are in memory until their clients have read them. */
const PAGE_MAX = 1_000_000

const oneOf = <Name extends string>(known: Readonly<Record<Name, unknown>>) => {
  const names = Object.keys(known) as Name[]
  return z.enum(names, `must be ${names.slice(0, -1).join(', ')} or ${names.at(-1)}`)
}

/** As stored, so also a reference that POST would reject. PostgreSQL has no U+0000. */
const storedText = z
  .string()
  .refine((text) => text !== '' && [...text].length <= TEXT_MAX, `must have 1 to ${TEXT_MAX} characters`)
  .refine((text) => !text.includes('\0'), 'must not contain U+0000')
  .meta({ override: { minLength: 1, maxLength: TEXT_MAX, pattern: '^[^\\x00]+$' } })

const time = rfc3339Time('; + is written %2B')

export const LIST_QUERY = z.object({
  reference: storedText.optional().meta({ description: 'Only the payment with this reference.' }),
  idempotency_key: storedText.optional().meta({ description: 'Only the payment that was created with this key.' }),
  status: oneOf<PaymentStatus>(TRANSITIONS).optional().meta({ description: 'Only payments with this status.' }),
  currency: oneOf<Currency>(CURRENCIES).optional().meta({ description: 'Only payments in this currency.' }),
  created_from: time.optional().meta({ description: `Only payments created at this time or later. ${TIME_FORM}` }),
  created_to: time.optional().meta({ description: `Only payments created before this time. ${TIME_FORM}` }),
  limit: pageLimit,
  cursor: pageCursor,
})

/**
 * GET /payments: 200 with payments of the merchant, newest first, and with the cursor of the next page. A payment that this
 * version cannot show, such as one in a currency of a newer version, or that PostgreSQL cannot read, is left out, and the log
 * names it. If the client asks for it by reference or key, the answer is 500: an empty list would tell that nothing is stored.
 */
export function listPaymentsHandler({ db, lists, cursors, logger }: ListPaymentsOptions): RequestHandler {
  return async (req, res) => {
    const { limit, cursor, ...filters } = readQuery(req, LIST_QUERY)
    const { merchantId, requestId } = res.locals
    const scope = { list: 'payments', merchantId, filters } as const
    const text = await lists.run(res, async () => {
      const [createdAt, id] = cursor === undefined ? [] : await cursors.open(scope, cursor)
      const { found, isCut } = await listPaymentsPastDamage(db, {
        merchantId,
        reference: filters.reference,
        idempotencyKey: filters.idempotency_key,
        status: filters.status,
        currency: filters.currency,
        createdFrom: filters.created_from,
        createdTo: filters.created_to,
        after: createdAt === undefined || id === undefined ? undefined : { createdAt, id },
        limit: limit + 1,
      })
      const { texts, hidden, read } = pageOf(found.slice(0, limit))
      const isAskedFor = filters.reference !== undefined || filters.idempotency_key !== undefined
      if (isAskedFor && hidden[0]) {
        res.locals.paymentId = hidden[0].id
        throw hidden[0].error
      }
      if (hidden.length > 0)
        logger.error('payments cannot be shown, a list leaves them out', {
          payment_ids: hidden.map(({ id }) => id),
          error: hidden[0]?.error,
          request_id: requestId,
        })
      const place = found[read] || isCut ? found[read - 1]?.place : undefined
      const next = place ? await cursors.seal(scope, [place.createdAt, place.id]) : null
      return `{"data":[${texts.join(',')}],"has_more":${next !== null},"next_cursor":${JSON.stringify(next)}}`
    })
    sendJsonText(res, 200, text)
  }
}

/** The payments as JSON texts, as many as fit into one answer. Those that cannot be shown are `read` too. */
function pageOf(found: readonly (ListedPayment | UnreadablePayment)[]) {
  const texts: string[] = []
  const hidden: { id: string; error: unknown }[] = []
  let length = 0
  for (const one of found) {
    try {
      if ('error' in one) throw one.error
      const text = paymentJson(one.payment)
      length += text.length
      if (texts.length > 0 && length > PAGE_MAX) break
      texts.push(text)
    } catch (error) {
      hidden.push({ id: one.place.id, error })
    }
  }
  return { texts, hidden, read: texts.length + hidden.length }
}
