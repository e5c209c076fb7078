import { type ListedPayment, listPayments, type Tables } from '@cashflow/db'
import { CURRENCIES, type Currency, type PaymentStatus, TRANSITIONS } from '@cashflow/domain'
import type { RequestHandler } from 'express'
import type { Kysely } from 'kysely'
import * as z from 'zod'
import type { Cursors } from '../cursor.ts'
import { pageCursor, pageLimit, readQuery } from '../query.ts'
import type { RequestQueue } from '../request-queue.ts'
import { sendJsonText } from '../send-json.ts'
import { paymentJson } from './payment-json.ts'

export interface ListPaymentsOptions {
  db: Kysely<Tables>
  lists: RequestQueue
  cursors: Cursors
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

const time = z.iso
  .datetime({
    offset: true,
    error: 'must be an RFC 3339 time with an offset, such as 2026-11-22T01:37:08.058Z; + is written %2B',
  })
  .refine((text) => !/\.\d{7}/.test(text), 'must have at most 6 decimals of a second')
  .transform(inUtc)
  .refine((utc) => /^(?!0000)\d{4}-/.test(utc), 'must be in the years 0001 to 9999')
  .meta({
    override: ({ jsonSchema }) => {
      jsonSchema.pattern = String(jsonSchema.pattern).replace('\\.\\d+', '\\.\\d{1,6}')
      jsonSchema.maxLength = '2026-11-22T01:37:08.123456+00:00'.length
    },
  })

/** The same time in UTC with microseconds. PostgreSQL knows neither each offset of RFC 3339 nor the year 0. */
function inUtc(text: string): string {
  const [, fraction = ''] = /\.(\d+)/.exec(text) ?? []
  const seconds = new Date(text.replace(/\.\d+/, '')).toISOString().slice(0, -'.000Z'.length)
  return `${seconds}.${fraction.padEnd(6, '0')}Z`
}

const TIMES = 'An RFC 3339 time with an offset, in the years 0001 to 9999, with at most 6 decimals of a second.'

export const LIST_QUERY = z.object({
  reference: storedText.optional().meta({ description: 'Only the payment with this reference.' }),
  idempotency_key: storedText.optional().meta({ description: 'Only the payment that was created with this key.' }),
  status: oneOf<PaymentStatus>(TRANSITIONS).optional().meta({ description: 'Only payments with this status.' }),
  currency: oneOf<Currency>(CURRENCIES).optional().meta({ description: 'Only payments in this currency.' }),
  created_from: time.optional().meta({ description: `Only payments created at this time or later. ${TIMES}` }),
  created_to: time.optional().meta({ description: `Only payments created before this time. ${TIMES}` }),
  limit: pageLimit,
  cursor: pageCursor,
})

/** GET /payments: 200 with payments of the merchant, newest first, and with the cursor of the next page. */
export function listPaymentsHandler({ db, lists, cursors }: ListPaymentsOptions): RequestHandler {
  return async (req, res) => {
    const { limit, cursor, ...filters } = readQuery(req, LIST_QUERY)
    const { merchantId } = res.locals
    const scope = { list: 'payments', merchantId, filters } as const
    const text = await lists.run(res, async () => {
      const [createdAt, id] = cursor === undefined ? [] : await cursors.open(scope, cursor)
      const found = await listPayments(db, {
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
      const page = pageOf(found.slice(0, limit))
      const place = found[page.length] && found[page.length - 1]?.place
      const next = place ? await cursors.seal(scope, [place.createdAt, place.id]) : null
      return `{"data":[${page.join(',')}],"has_more":${next !== null},"next_cursor":${JSON.stringify(next)}}`
    })
    sendJsonText(res, 200, text)
  }
}

/** The payments as JSON texts, as many as fit into one answer. */
function pageOf(found: readonly ListedPayment[]): string[] {
  const page: string[] = []
  let length = 0
  for (const { payment } of found) {
    const text = asJson(payment)
    length += text.length
    if (page.length > 0 && length > PAGE_MAX) break
    page.push(text)
  }
  return page
}

/** @throws Error that names a payment that cannot be shown, such as one in a currency that a newer version has added */
function asJson(payment: ListedPayment['payment']): string {
  try {
    return paymentJson(payment)
  } catch (cause) {
    throw new Error(`payment ${payment.id} cannot be shown`, { cause })
  }
}
