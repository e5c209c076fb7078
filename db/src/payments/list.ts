import { CURRENCIES, type PaymentStatus, TRANSITIONS } from '@cashflow/domain'
import { compiledOnce, type ParameterOf } from '@cashflow/outbox'
import { type Expression, type Kysely, type SqlBool, sql } from 'kysely'
import type { Tables } from '../tables.ts'
import { type PaymentView, toView, VIEW } from './view.ts'

export interface PaymentListOptions {
  readonly merchantId: string
  readonly reference?: string | undefined
  readonly idempotencyKey?: string | undefined
  readonly status?: PaymentStatus | undefined
  readonly currency?: string | undefined
  /** The earliest time, as text that PostgreSQL reads: a Date has no microseconds. */
  readonly createdFrom?: string | undefined
  /** The time before which all payments of the list were created, as text. */
  readonly createdTo?: string | undefined
  /** The place of the last payment of the page before. It replaces `createdTo`. */
  readonly after?: PaymentPlace | undefined
  /** The place of the last payment that the list may have. It replaces `createdFrom`. */
  readonly upTo?: PaymentPlace | undefined
  /** Leaves out currencies that only a newer version knows. Each part of the list then is in the order of its index. */
  readonly isOfKnownCurrencies?: boolean | undefined
  readonly limit: number
}

/** The place of a payment in all lists. */
export interface PaymentPlace {
  /** As text, with microseconds. */
  readonly createdAt: string
  readonly id: string
}

export interface ListedPayment {
  readonly payment: PaymentView
  readonly place: PaymentPlace
}

/**
 * Lists payments of a merchant, newest first, at most `limit` of them. Payments of the same time are in
 * the order of their ids.
 *
 * It reads no more rows than it returns, and one for each status and currency that the list may have.
 */
export async function listPayments(db: Kysely<Tables>, options: PaymentListOptions): Promise<ListedPayment[]> {
  const { merchantId, reference, idempotencyKey, status, currency, createdFrom, createdTo, after, upTo, limit } =
    options
  const currencies = options.isOfKnownCurrencies ? 'known' : 'all'
  const statement =
    reference !== undefined
      ? OF_REFERENCE
      : idempotencyKey !== undefined
        ? OF_KEY
        : PARTS[status ? 'one' : 'all'][currency ? 'one' : currencies]
  const rows = await statement(db, {
    merchantId,
    reference: reference ?? null,
    idempotencyKey: idempotencyKey ?? null,
    status: status ?? null,
    currency: currency ?? null,
    from: upTo?.createdAt ?? createdFrom ?? '-infinity',
    fromId: upTo?.id ?? LOWEST_ID,
    before: after?.createdAt ?? createdTo ?? 'infinity',
    beforeId: after?.id ?? LOWEST_ID,
    limit,
  })
  return rows.map((row) => ({
    payment: toView(row),
    place: { createdAt: row.place, id: row.id },
  }))
}

/** Of the payments of a time, none is before this one. */
export const LOWEST_ID = '00000000-0000-0000-0000-000000000000'

interface Values {
  merchantId: string
  reference: string | null
  idempotencyKey: string | null
  status: string | null
  currency: string | null
  from: string
  fromId: string
  before: string
  beforeId: string
  limit: number
}

/** The condition of the index, in its words. It is true for every payment. */
const IS_LISTED = sql<SqlBool>`created_at >= '-infinity'`

// As `sql`: the builder has COLLATE only in an ORDER BY. The index has text in the order of its bytes.
const STATUS = sql<string>`status collate "C"`
const CURRENCY = sql<string>`currency collate "C"`

const found = (db: Kysely<Tables>, parameter: ParameterOf<Values>) =>
  db
    .selectFrom('payments')
    .select(VIEW)
    .select((eb) => eb.cast<string>('created_at', 'text').as('place'))
    .where('merchant_id', '=', parameter('merchantId'))

/** As `sql`, so that each condition is one comparison of rows, which PostgreSQL reads from the index. */
const inTime = (parameter: ParameterOf<Values>) =>
  sql<SqlBool>`(created_at, id) >= (${parameter('from')}::timestamptz, ${parameter('fromId')}::uuid)
    and (created_at, id) < (${parameter('before')}::timestamptz, ${parameter('beforeId')}::uuid)`

/** Text before the first currency, and after the last one. */
const [LOWEST, HIGHEST] = ['', '~']
const KNOWN = Object.keys(CURRENCIES).toSorted()

const KNOWN_CURRENCIES = KNOWN.map((currency) => sql<SqlBool>`${CURRENCY} = ${sql.lit(currency)}`)

/**
 * Conditions that select each currency once. Those that this version does not know are in the ranges between the others: a
 * payment that a newer version has stored must not be missing from a list. Such a range is not in the order of the list, so
 * PostgreSQL sorts it. It is empty unless two versions run.
 */
const ALL_CURRENCIES: readonly Expression<SqlBool>[] = [
  ...KNOWN_CURRENCIES,
  ...[LOWEST, ...KNOWN].map((currency, index) => {
    const next = KNOWN[index] ?? HIGHEST
    return sql<SqlBool>`${CURRENCY} > ${sql.lit(currency)} and ${CURRENCY} < ${sql.lit(next)}`
  }),
]

const ALL_STATUSES = Object.keys(TRANSITIONS).map((status) => sql<SqlBool>`${STATUS} = ${sql.lit(status)}`)

/** A list in parts, one for each status and currency. PostgreSQL merges them: it reads the next row of a part when it has used the one before. */
function inParts(of: { status: 'one' | 'all'; currency: 'one' | 'known' | 'all' }) {
  return compiledOnce((db: Kysely<Tables>, parameter: ParameterOf<Values>) => {
    const statuses = of.status === 'all' ? ALL_STATUSES : [sql<SqlBool>`${STATUS} = ${parameter('status')}`]
    const currencies = {
      one: [sql<SqlBool>`${CURRENCY} = ${parameter('currency')}`],
      known: KNOWN_CURRENCIES,
      all: ALL_CURRENCIES,
    }[of.currency]
    const [first, ...others] = statuses
      .flatMap((status) => currencies.map((currency) => found(db, parameter).where(status).where(currency)))
      .map((part) =>
        part
          .where(IS_LISTED)
          .where(inTime(parameter))
          .orderBy('created_at', 'desc')
          .orderBy('id', 'desc')
          .limit(parameter('limit')),
      )
      .map((part) => db.selectFrom(part.as('part')).selectAll())
    if (!first) throw new Error('bug: a list without parts')
    return others
      .reduce((parts, part) => parts.unionAll(part), first)
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .limit(parameter('limit'))
  })
}

const inPartsOf = (status: 'one' | 'all') => ({
  one: inParts({ status, currency: 'one' }),
  known: inParts({ status, currency: 'known' }),
  all: inParts({ status, currency: 'all' }),
})
const PARTS = { one: inPartsOf('one'), all: inPartsOf('all') }

/** A payment that is found by what is unique, if the other filters select it too. */
function lookUp(column: 'reference' | 'idempotency_key', name: 'reference' | 'idempotencyKey') {
  return compiledOnce((db: Kysely<Tables>, parameter: ParameterOf<Values>) => {
    const isWanted = (tested: Expression<string>, wanted: 'idempotencyKey' | 'status' | 'currency') =>
      sql<SqlBool>`(${parameter(wanted)}::text is null or ${tested} = ${parameter(wanted)})`
    return found(db, parameter)
      .where(column, '=', sql<string>`${parameter(name)} collate "C"`)
      .where(isWanted(sql`idempotency_key collate "C"`, 'idempotencyKey'))
      .where(isWanted(STATUS, 'status'))
      .where(isWanted(CURRENCY, 'currency'))
      .where(inTime(parameter))
  })
}

const OF_REFERENCE = lookUp('reference', 'reference')
const OF_KEY = lookUp('idempotency_key', 'idempotencyKey')
