import { isUuid } from '@cashflow/domain'
import { type Kysely, type SqlBool, sql } from 'kysely'
import { isDamage } from '../postgres/errors.ts'
import { readPages, type Span } from '../postgres/pages.ts'
import { type LeftOut, leftOut } from '../postgres/past-damage.ts'
import type { Tables } from '../tables.ts'
import { type PaymentSearch, READ_MAX, type ReadRow, type ReadRows, readRows, readWanted } from './read-rows.ts'

/** Fewer than of all payments: PENDING ones are far from each other in the table, so each is a page of its own to read. */
const LOOKED_MAX = 5_000

interface Place {
  readonly id: string
  /** As text: a Date has no microseconds. Null for a parked payment. */
  readonly redriveAt: string | null
}

/**
 * Reads PENDING payments in the order of their redrives, parked ones last. Undefined if the payment of `after` is not among
 * them.
 */
export async function readPending(db: Kysely<Tables>, search: PaymentSearch): Promise<ReadRows | undefined> {
  const { after, waitingFor, limit } = search
  const place = after === undefined ? undefined : await placeOf(db, after)
  if (after !== undefined && !place) return undefined
  const reading = { db, place, search }
  const isUnparkedWanted = waitingFor !== 'operator' && place?.redriveAt !== null
  const unparked = isUnparkedWanted ? await pastDamage(readUnparked, unparkedPastDamage, reading) : NOTHING
  const isFull = unparked.next !== undefined || unparked.rows.length > limit
  if (isFull || (waitingFor !== undefined && waitingFor !== 'operator')) return unparked
  const parked = await pastDamage(readParked, parkedPastDamage, reading)
  return { ...parked, rows: [...unparked.rows, ...parked.rows], leftOut: [...unparked.leftOut, ...parked.leftOut] }
}

interface Reading {
  readonly db: Kysely<Tables>
  /** Undefined for the first page. */
  readonly place: Place | undefined
  readonly search: PaymentSearch
}

const NOTHING: ReadRows = { rows: [], leftOut: [], next: undefined, lookedAt: 0 }

async function pastDamage(
  read: (reading: Reading) => Promise<ReadRows>,
  readPast: (reading: Reading) => Promise<ReadRows>,
  reading: Reading,
): Promise<ReadRows> {
  try {
    return await read(reading)
  } catch (error) {
    if (!isDamage(error)) throw error
    return await readPast(reading)
  }
}

function rowsOf(rows: readonly ReadRow[], unreadable: readonly LeftOut[]): ReadRows {
  return {
    rows,
    leftOut: unreadable,
    next: rows.length < READ_MAX ? undefined : rows.at(-1)?.id,
    lookedAt: rows.length,
  }
}

/** Finds the place of a PENDING payment by its id alone: PostgreSQL might read all PENDING ones to find one of them. */
async function placeOf(db: Kysely<Tables>, id: string): Promise<Place | undefined> {
  const row = await db
    .selectFrom('payments')
    .select((eb) => ['status', eb.cast<string | null>('redrive_at', 'text').as('redriveAt')])
    .where('id', '=', id)
    .executeTakeFirst()
  return row?.status === 'PENDING' ? { id, redriveAt: row.redriveAt } : undefined
}

// As `sql` below: the builder has no intervals and no row comparison.

/** A column, not a condition: PostgreSQL would read on until it has found as many. */
function isOld({ search: { olderThanMs = 0 } }: Reading) {
  return sql<boolean>`created_at <= clock_timestamp() - ${olderThanMs} * interval '1 millisecond'`
}

function pending(reading: Reading) {
  return readRows(reading.db, isOld(reading)).where('status', '=', sql.lit('PENDING'))
}

/** Those that are not parked, in the order of the index of their redrives. */
function unparkedRows(reading: Reading) {
  const { place } = reading
  return pending(reading)
    .where('redrive_at', 'is not', null)
    .$if(place !== undefined, (rows) =>
      rows.where(sql<SqlBool>`(redrive_at, id) > (${place?.redriveAt}::timestamptz, ${place?.id}::uuid)`),
    )
    .orderBy('redrive_at')
}

/**
 * The rows that are looked at are in the order of the index alone, and with all of the last one's time. To sort them by their
 * ids too, PostgreSQL might read all PENDING payments first.
 */
function readUnparked(reading: Reading): Promise<ReadRows> {
  const looked = unparkedRows(reading).fetch(LOOKED_MAX, 'with ties')
  return readWanted(reading.db, looked, { order: sql`redrive_at, id`, lookedMax: LOOKED_MAX }, reading.search)
}

/** The index has times only, so payments that share the microsecond of an unreadable one are left out with it. */
async function unparkedPastDamage(reading: Reading): Promise<ReadRows> {
  const read = async (after: bigint, to: bigint, limit: number) => {
    const rows = await readSpan(reading, { after, to }, limit)
    const last = rows.at(-1)
    if (!last || rows.length < limit) return { rows, upto: to }
    // More rows may have the last one's time.
    const before = rows.filter(({ micros }) => micros !== last.micros)
    if (before.length > 0) return { rows: before, upto: BigInt(last.micros) - 1n }
    const upto = BigInt(last.micros)
    return { rows: await readSpan(reading, { after: upto - 1n, to: upto }, READ_MAX), upto }
  }
  const rows: ReadRow[] = []
  const unreadable: LeftOut[] = []
  for await (const part of readPages(read, ALL_TIMES, READ_MAX, { awayMs: 0, isOwn: isDamage })) {
    if ('error' in part) unreadable.push(leftOut(`the payments whose redrive is at ${timeText(part.at)}`, part.error))
    else rows.push(...part.rows)
    if (rows.length >= READ_MAX) break
  }
  return rowsOf(rows.slice(0, READ_MAX), unreadable)
}

/** From the year 1 to the year 9999, in microseconds since 1970. */
const ALL_TIMES: Span = {
  after: BigInt(Date.parse('0001-01-01T00:00:00Z')) * 1_000n,
  to: BigInt(Date.UTC(10_000, 0)) * 1_000n,
}

function readSpan(reading: Reading, { after, to }: Span, limit: number) {
  const time = (micros: bigint) => sql<Date>`timestamptz 'epoch' + ${micros}::bigint * interval '1 microsecond'`
  return unparkedRows(reading)
    .select(sql<string>`(extract(epoch from redrive_at) * 1000000)::bigint`.as('micros'))
    .where('redrive_at', '>', time(after))
    .where('redrive_at', '<=', time(to))
    .orderBy('id')
    .limit(limit)
    .execute()
}

function timeText(micros: bigint): string {
  const fraction = (((micros % 1_000n) + 1_000n) % 1_000n).toString().padStart(3, '0')
  return new Date(Number((micros - BigInt(fraction)) / 1_000n)).toISOString().replace('Z', `${fraction}Z`)
}

function parkedRows(reading: Reading) {
  const { place } = reading
  return pending(reading)
    .where('redrive_at', 'is', null)
    .$if(place?.redriveAt === null, (rows) => rows.where('id', '>', place?.id ?? ''))
    .orderBy('id')
}

function readParked(reading: Reading): Promise<ReadRows> {
  const looked = parkedRows(reading).limit(LOOKED_MAX)
  return readWanted(reading.db, looked, { order: sql`id`, lookedMax: LOOKED_MAX }, reading.search)
}

/** No index has parked payments in an order, but each has a dead letter. So they are read one by one. */
async function parkedPastDamage(reading: Reading): Promise<ReadRows> {
  const letters = await reading.db
    .selectFrom('dead_letters')
    .select('key')
    .where('resolved_at', 'is', null)
    .where('source', '=', 'worker')
    .where(sql<SqlBool>`key collate "C" > ${reading.place?.redriveAt === null ? reading.place.id : ''}`)
    .orderBy('key', (order) => order.collate('C'))
    .limit(READ_MAX)
    .execute()
  const rows: ReadRow[] = []
  const unreadable: LeftOut[] = []
  for (const { key } of letters.filter((letter) => isUuid(letter.key))) {
    try {
      // By its id alone: otherwise PostgreSQL might read all parked payments by the index of PENDING ones.
      const found = await readRows(reading.db, isOld(reading)).where('id', '=', key).execute()
      rows.push(...found.filter(({ waiting_for }) => waiting_for === 'operator'))
    } catch (error) {
      if (!isDamage(error)) throw error
      unreadable.push(leftOut(`payment ${key}`, error))
    }
  }
  return rowsOf(rows, unreadable)
}
