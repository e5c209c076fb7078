import type { Kysely } from 'kysely'
import { placeOfUuid, UUID_MAX, uuidAt } from '../postgres/pages.ts'
import { isUnreadable, readPastDamage } from '../postgres/past-damage.ts'
import type { Tables } from '../tables.ts'
import { type ListedPayment, LOWEST_ID, listPayments, type PaymentListOptions, type PaymentPlace } from './list.ts'

/** A payment of a list that PostgreSQL cannot read. */
export interface UnreadablePayment {
  readonly place: PaymentPlace
  readonly error: Error
}

/**
 * Lists payments as `listPayments` does. One that PostgreSQL cannot read is named by its place, and counts as one of `limit`.
 * If the list is cut, it goes on behind its last place. A list with such payments has none in currencies that only a newer
 * version knows: PostgreSQL might find those by reading all payments of the merchant.
 *
 * @param cutMs time after which the list is cut, in milliseconds: a request must be answered in time
 *
 * @throws PostgreSQL's error about the payment of a reference or of an idempotency key: an empty list would tell that
 * nothing is stored
 */
export async function listPaymentsPastDamage(
  db: Kysely<Tables>,
  options: PaymentListOptions,
  cutMs = 1_500,
): Promise<{ found: (ListedPayment | UnreadablePayment)[]; isCut: boolean }> {
  if (options.reference !== undefined || options.idempotencyKey !== undefined)
    return { found: await listPayments(db, options), isCut: false }
  const { createdFrom, createdTo, after, limit } = options
  const first = after ?? (createdTo === undefined ? undefined : { createdAt: createdTo, id: LOWEST_ID })
  const last = createdFrom === undefined ? undefined : { createdAt: createdFrom, id: LOWEST_ID }
  const span = { after: first ? numberOf(first) : -1n, to: last ? numberOf(last) : LAST }
  const { found, isCut } = await readPastDamage({
    // The whole list is asked for as it was given.
    read: (part, most) =>
      listPayments(db, {
        ...options,
        after: part.after === span.after ? after : placeAt(part.after),
        upTo: part.to === span.to ? undefined : placeAt(part.to),
        isOfKnownCurrencies: part.after !== span.after || part.to !== span.to,
        limit: most,
      }),
    placeOf: ({ place }) => numberOf(place),
    ...{ span, limit, cutMs },
  })
  return {
    found: found.map((part) => (isUnreadable(part) ? { place: placeAt(part.at), error: part.error } : part)),
    isCut,
  }
}

// The number of a place: microseconds before the last one of the year 9999, then the id in its 128 bits, backwards.

const END_MICROS = BigInt(Date.UTC(10_000, 0)) * 1_000n - 1n
const IDS = 128n
/** The number of the first microsecond of the year 1. */
const LAST = ((END_MICROS - BigInt(Date.parse('0001-01-01T00:00:00Z')) * 1_000n) << IDS) | UUID_MAX

function numberOf({ createdAt, id }: PaymentPlace): bigint {
  return ((END_MICROS - microsOf(createdAt)) << IDS) | (UUID_MAX - placeOfUuid(id))
}

function placeAt(number: bigint): PaymentPlace {
  return { createdAt: timeAt(END_MICROS - (number >> IDS)), id: uuidAt(UUID_MAX - (number & UUID_MAX)) }
}

/** Reads a time of PostgreSQL, or of RFC 3339, in microseconds since 1970. */
function microsOf(text: string): bigint {
  const [, date, time, fraction = '', zone = ''] = /^([-\d]+)[ T]([:\d]+)(?:\.(\d{1,6}))?(Z|[-+:\d]+)$/.exec(text) ?? []
  const ms = Date.parse(`${date}T${time}${zone.length === 3 ? `${zone}:00` : zone}`)
  if (Number.isNaN(ms)) throw new Error(`bug: a list in damaged tables at the time ${text}`)
  return BigInt(ms) * 1_000n + BigInt(fraction.padEnd(6, '0'))
}

function timeAt(micros: bigint): string {
  const second = micros - (((micros % 1_000_000n) + 1_000_000n) % 1_000_000n)
  const fraction = (micros - second).toString().padStart(6, '0')
  return new Date(Number(second / 1_000n)).toISOString().replace('000Z', `${fraction}Z`)
}
