import type { PaymentStatus } from '@cashflow/domain'
import { type Kysely, type RawBuilder, type SqlBool, sql } from 'kysely'
import { listPayments } from '../payments/list.ts'
import { type PaymentView, toView, VIEW, WAITING_FOR, type Waiting } from '../payments/view.ts'
import type { Tables } from '../tables.ts'
import type { Done } from './done.ts'

/** Rows that a search reads at most. A page of rare payments may show none, and the search goes on behind it. */
const READ_MAX = 10_000

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

export interface PaymentPage {
  readonly payments: readonly PaymentView[]
  /** The id of the last payment that was read. Undefined if there are no more payments. */
  readonly next: string | undefined
}

/**
 * Searches payments of any merchant, in pages. It reads at most 10,000 rows. PENDING payments come in the order of their
 * redrives, parked ones last; others come newest first.
 */
export async function searchPayments(db: Kysely<Tables>, search: PaymentSearch): Promise<Done<PaymentPage>> {
  const { merchantId, status, waitingFor, olderThanMs, limit } = search
  const isOfPending = status === 'PENDING' || waitingFor !== undefined
  if (merchantId !== undefined && !isOfPending) return await listOfMerchant(db, merchantId, search)
  const read = await (isOfPending ? readPending(db, search) : readNewest(db, search))
  if (!read) return { done: false, why: `Payment ${search.after} is not PENDING any more. Begin the list again.` }
  const isWanted = (row: ReadRow) =>
    (merchantId === undefined || row.merchant_id === merchantId) &&
    (status === undefined || row.status === status) &&
    (olderThanMs === undefined || row.is_old) &&
    (waitingFor === undefined || row.waiting_for === waitingFor)
  const wanted = read.filter(isWanted).map(({ id }) => id)
  const ids = wanted.slice(0, limit)
  const lastRead = read.length < READ_MAX ? undefined : read.at(-1)?.id
  return { done: true, payments: await inOrder(db, ids), next: wanted.length > limit ? ids.at(-1) : lastRead }
}

type ReadRow = Awaited<ReturnType<typeof readNewest>>[number]

/** @param isOld whether a payment is as old as asked */
const rows = (db: Kysely<Tables>, isOld: RawBuilder<boolean>) =>
  db.selectFrom('payments').select(['id', 'merchant_id', 'status', WAITING_FOR.as('waiting_for'), isOld.as('is_old')])

// As `sql` below: the builder has no intervals and no row comparison.

async function readNewest(db: Kysely<Tables>, { after, olderThanMs, status, limit }: PaymentSearch) {
  let newest = rows(db, sql.lit(true))
    .orderBy('id', 'desc')
    .limit(status === undefined ? limit + 1 : READ_MAX)
  if (after !== undefined) newest = newest.where('id', '<', after)
  if (olderThanMs !== undefined) newest = newest.where('id', '<=', idOfAge(olderThanMs))
  return await newest.execute()
}

/** The highest id of a payment that was created so long ago: it contains the time of creation (RFC 9562 §5.7). */
function idOfAge(ms: number) {
  const at = sql<number>`(extract(epoch from clock_timestamp()) * 1000 - ${ms}::float8)::bigint`
  return sql<string>`(lpad(to_hex(${at}), 12, '0') || repeat('f', 20))::uuid`
}

/** Reads PENDING payments by the index of their redrives. Undefined if the payment of `after` is not among them. */
async function readPending(db: Kysely<Tables>, { after, olderThanMs, waitingFor }: PaymentSearch) {
  const place = after === undefined ? undefined : await placeOf(db, after)
  if (after !== undefined && !place) return undefined
  const isParkedPlace = place?.redrive_at === null
  // Not a condition: PostgreSQL would read on until it has found as many.
  const isOld = sql<boolean>`created_at <= clock_timestamp() - ${olderThanMs ?? 0} * interval '1 millisecond'`
  const pending = rows(db, isOld).where('status', '=', sql.lit('PENDING')).limit(READ_MAX)
  let unparked = pending.where('redrive_at', 'is not', null).orderBy('redrive_at').orderBy('id')
  if (place)
    unparked = unparked.where(sql<SqlBool>`(redrive_at, id) > (${place.redrive_at}::timestamptz, ${after}::uuid)`)
  const found = isParkedPlace || waitingFor === 'operator' ? [] : await unparked.execute()
  if (waitingFor !== undefined && waitingFor !== 'operator') return found
  let parked = pending
    .where('redrive_at', 'is', null)
    .orderBy('id')
    .limit(READ_MAX - found.length)
  if (after !== undefined && isParkedPlace) parked = parked.where('id', '>', after)
  return found.length === READ_MAX ? found : [...found, ...(await parked.execute())]
}

async function placeOf(db: Kysely<Tables>, id: string) {
  return await db
    .selectFrom('payments')
    .select((eb) => eb.cast<string | null>('redrive_at', 'text').as('redrive_at')) // As text: a Date has no microseconds.
    .where('id', '=', id)
    .where('status', '=', sql.lit('PENDING'))
    .executeTakeFirst()
}

async function inOrder(db: Kysely<Tables>, ids: readonly string[]): Promise<PaymentView[]> {
  const found = await db
    .selectFrom('payments')
    .select(VIEW)
    .where('id', '=', sql<string>`any(${ids}::uuid[])`)
    .execute()
  const byId = new Map(found.map((row) => [row.id, row]))
  return ids.flatMap((id) => {
    const row = byId.get(id)
    return row ? [toView(row)] : []
  })
}

async function listOfMerchant(
  db: Kysely<Tables>,
  merchantId: string,
  { status, olderThanMs, after, limit }: PaymentSearch,
): Promise<Done<PaymentPage>> {
  const last = db.selectFrom('payments').select((eb) => eb.cast<string>('created_at', 'text').as('created_at'))
  const place =
    after === undefined
      ? undefined
      : await last.where('id', '=', after).where('merchant_id', '=', merchantId).executeTakeFirst()
  if (after !== undefined && !place) return { done: false, why: `The merchant has no payment ${after}.` }
  const createdTo = olderThanMs === undefined ? undefined : await timeOfAge(db, olderThanMs)
  const found = await listPayments(db, {
    ...{ merchantId, status, createdTo, limit: limit + 1 },
    after: place && after !== undefined ? { createdAt: place.created_at, id: after } : undefined,
  })
  const payments = found.slice(0, limit).map(({ payment }) => payment)
  return { done: true, payments, next: found.length > limit ? payments.at(-1)?.id : undefined }
}

async function timeOfAge(db: Kysely<Tables>, ms: number): Promise<string> {
  const time = sql<string>`(clock_timestamp() - ${ms} * interval '1 millisecond')::text`
  return (await db.selectNoFrom(time.as('time')).executeTakeFirstOrThrow()).time
}
