import { type Kysely, sql } from 'kysely'
import type { PaymentPlace } from '../payments/list.ts'
import { listPaymentsPastDamage } from '../payments/list-past-damage.ts'
import { type PaymentName, type PaymentView, toView, VIEW } from '../payments/view.ts'
import { isDamage } from '../postgres/errors.ts'
import { placeOfUuid, type Span, UUID_MAX, uuidAt } from '../postgres/pages.ts'
import { isUnreadable, type LeftOut, leftOut, readPastDamage } from '../postgres/past-damage.ts'
import type { Tables } from '../tables.ts'
import type { Done } from './done.ts'
import { readPending } from './read-pending.ts'
import { CUT_MS, type PaymentSearch, READ_MAX, type ReadRow, type ReadRows, readRows, readWanted } from './read-rows.ts'

export interface PaymentPage {
  readonly payments: readonly PaymentView[]
  /** Payments that PostgreSQL cannot read, and that may belong into this page. */
  readonly leftOut: readonly LeftOut[]
  /** The id of the last payment that was read. Undefined if there are no more payments. */
  readonly next: string | undefined
  /**
   * Number of payments that were looked at, if the search ended with them before the page was full. `next` goes on behind them.
   * Undefined if the page is full, or the last one.
   */
  readonly lookedAt: number | undefined
}

/**
 * Searches payments of any merchant, in pages. It looks at 10,000 rows at most, of PENDING ones at 5,000. PENDING payments come in the order of their
 * redrives, parked ones last; others come newest first. Payments that PostgreSQL cannot read are left out and named.
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
  const wanted = read.rows.filter(isWanted).map(({ id }) => id)
  const ids = wanted.slice(0, limit)
  const views = await inOrder(db, ids)
  return {
    done: true,
    payments: views.payments,
    leftOut: [...read.leftOut, ...views.leftOut],
    next: wanted.length > limit ? ids.at(-1) : read.next,
    lookedAt: wanted.length <= limit && read.next !== undefined ? read.lookedAt : undefined,
  }
}

async function readNewest(db: Kysely<Tables>, search: PaymentSearch): Promise<ReadRows> {
  const { after, olderThanMs, status, limit } = search
  // Places count backwards from the highest id.
  const youngest = olderThanMs === undefined ? -1n : UUID_MAX - placeOfUuid(await idOfAge(db, olderThanMs)) - 1n
  const last = after === undefined ? -1n : UUID_MAX - placeOfUuid(after)
  const span = { after: youngest > last ? youngest : last, to: UUID_MAX }
  const rowsIn = ({ after: place, to }: Span) =>
    readRows(db, sql.lit(true))
      .where('id', '<=', uuidAt(UUID_MAX - place - 1n))
      .where('id', '>=', uuidAt(UUID_MAX - to))
      .orderBy('id', 'desc')
  try {
    return await readWanted(db, rowsIn(span).limit(READ_MAX), { order: sql`id desc`, lookedMax: READ_MAX }, search)
  } catch (error) {
    if (!isDamage(error)) throw error
    return await newestPastDamage(rowsIn, span, status === undefined ? limit + 1 : READ_MAX)
  }
}

async function newestPastDamage(
  rowsIn: (span: Span) => ReturnType<typeof readRows>,
  span: Span,
  most: number,
): Promise<ReadRows> {
  const { found, isCut } = await readPastDamage({
    read: (part, count) => rowsIn(part).limit(count).execute(),
    placeOf: ({ id }) => UUID_MAX - placeOfUuid(id),
    span,
    limit: most,
    cutMs: CUT_MS,
  })
  const idOf = (part: (typeof found)[number]) => (isUnreadable(part) ? uuidAt(UUID_MAX - part.at) : part.id)
  const last = found.at(-1)
  return {
    rows: found.flatMap((part) => (isUnreadable(part) ? [] : part)),
    leftOut: found.filter(isUnreadable).map((part) => leftOut(`payment ${idOf(part)}`, part.error)),
    next: last && (isCut || found.length === most) ? idOf(last) : undefined,
    lookedAt: found.length,
  }
}

/**
 * The highest id of a payment that was created so long ago: it contains the time of creation (RFC 9562 §5.7). Read before the
 * search: PostgreSQL begins at a value, but would compare each newer row with an expression of the clock.
 */
async function idOfAge(db: Kysely<Tables>, ms: number): Promise<string> {
  // As `sql`: the builder has no EXTRACT.
  const at = sql<number>`(extract(epoch from clock_timestamp()) * 1000 - ${ms}::float8)::bigint`
  const id = sql<string>`(lpad(to_hex(${at}), 12, '0') || repeat('f', 20))::uuid`
  return (await db.selectNoFrom(id.as('id')).executeTakeFirstOrThrow()).id
}

/** Reads payments in one statement. If PostgreSQL cannot read one of them, each is read in a statement of its own. */
async function inOrder(db: Kysely<Tables>, ids: readonly string[]): Promise<Pick<PaymentPage, 'payments' | 'leftOut'>> {
  const found = (some: readonly string[]) =>
    db
      .selectFrom('payments')
      .select(VIEW)
      .where('id', '=', sql<string>`any(${some}::uuid[])`) // The builder has no ANY.
      .execute()
  try {
    const byId = new Map((await found(ids)).map((row) => [row.id, toView(row)]))
    return { payments: ids.flatMap((id) => byId.get(id) ?? []), leftOut: [] }
  } catch (error) {
    if (!isDamage(error)) throw error
  }
  const payments: PaymentView[] = []
  const unreadable: LeftOut[] = []
  for (const id of ids)
    try {
      payments.push(...(await found([id])).map(toView))
    } catch (error) {
      if (!isDamage(error)) throw error
      unreadable.push(leftOut(`payment ${id}`, error))
    }
  return { payments, leftOut: unreadable }
}

async function listOfMerchant(
  db: Kysely<Tables>,
  merchantId: string,
  { status, olderThanMs, after, limit }: PaymentSearch,
): Promise<Done<PaymentPage>> {
  const place = after === undefined ? undefined : await placeOf(db, { merchantId, id: after })
  if (after !== undefined && !place) return { done: false, why: `The merchant has no payment ${after}.` }
  const createdTo = olderThanMs === undefined ? undefined : await timeOfAge(db, olderThanMs)
  const { found, isCut } = await listPaymentsPastDamage(
    db,
    { merchantId, status, createdTo, after: place, limit: limit + 1 },
    CUT_MS,
  )
  const page = found.slice(0, limit)
  return {
    done: true,
    payments: page.flatMap((part) => ('error' in part ? [] : part.payment)),
    leftOut: page.flatMap((part) => ('error' in part ? leftOut(`payment ${part.place.id}`, part.error) : [])),
    next: found.length > limit || isCut ? page.at(-1)?.place.id : undefined,
    lookedAt: isCut ? found.length : undefined,
  }
}

/** Finds the place of a payment. If PostgreSQL cannot read its row, its first event has the same time. */
async function placeOf(db: Kysely<Tables>, { merchantId, id }: PaymentName): Promise<PaymentPlace | undefined> {
  const createdAt = sql<string>`created_at::text`.as('created_at')
  const payment = db.selectFrom('payments').select(createdAt).where('id', '=', id)
  const event = db.selectFrom('payment_events').select(createdAt).where('payment_id', '=', id).where('sequence', '=', 1)
  const row = await payment
    .where('merchant_id', '=', merchantId)
    .executeTakeFirst()
    .catch((error: unknown) => {
      if (!isDamage(error)) throw error
      return event.where('merchant_id', '=', merchantId).executeTakeFirst()
    })
  return row && { createdAt: row.created_at, id }
}

async function timeOfAge(db: Kysely<Tables>, ms: number): Promise<string> {
  const time = sql<string>`(clock_timestamp() - ${ms} * interval '1 millisecond')::text`
  return (await db.selectNoFrom(time.as('time')).executeTakeFirstOrThrow()).time
}
