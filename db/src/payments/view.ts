import { metadataOf, type PaymentWithMetadata } from '@cashflow/domain'
import { compiledOnce, type ParameterOf } from '@cashflow/outbox'
import { type Kysely, type Selectable, sql } from 'kysely'
import { recordSet } from '../statement.ts'
import type { PaymentsTable, Tables } from '../tables.ts'
import { isOfMerchant, PAYMENT_COLUMNS, type PaymentRow, toPayment } from './row.ts'

/** What a PENDING payment waits for. */
export interface Waiting {
  /**
   * - `queue`: its first claim.
   * - `provider`: a worker has it, and its lease runs.
   * - `worker`: its lease ran out, so its worker has probably died.
   * - `retry`: the next attempt, after one that did not settle it.
   * - `pending`: the processor, which has answered that it has not decided yet.
   * - `operator`: it is parked.
   */
  readonly for: 'queue' | 'provider' | 'worker' | 'retry' | 'pending' | 'operator'
  /** Time of the next thing that is certain to happen: the end of the lease, the next attempt, or the redrive. Null for `operator`. */
  readonly nextActionAt: Date | null
  /** The same, in milliseconds from the time of the statement. Below 0 if it is overdue. */
  readonly nextActionMs: number | null
}

/** A payment as its merchant sees it. */
export interface PaymentView extends PaymentWithMetadata {
  /** Null unless the payment is PENDING. */
  readonly waiting: Waiting | null
}

// `sql` in this file: the builder's CASE reads worse, and it has no EXTRACT. Leases are judged by the database's clock.
export const WAITING_FOR = sql<Waiting['for'] | null>`case
  when status <> 'PENDING' then null
  when parked_at is not null then 'operator'
  when claim_token is not null and lease_until > now() then 'provider'
  when claim_token is not null then 'worker'
  when provider_pending_since is not null then 'pending'
  when attempts > 0 or lease_until is not null then 'retry'
  else 'queue'
end`
/** A due attempt has its own time: its message is on its way, and the redrive is only for the case that it is lost. */
const NEXT_ACTION_AT = sql<Date | null>`case
  when lease_until > now() then lease_until
  when claim_token is null and parked_at is null then coalesce(lease_until, redrive_at)
  else redrive_at
end`

/** What a statement on `payments` selects for `toView`. */
export const VIEW = [
  ...PAYMENT_COLUMNS,
  'metadata',
  WAITING_FOR.as('waiting_for'),
  NEXT_ACTION_AT.as('next_action_at'),
  sql<number | null>`extract(epoch from ${NEXT_ACTION_AT} - now())::float8 * 1000`.as('next_action_ms'),
] as const

export interface ViewRow extends PaymentRow, Pick<Selectable<PaymentsTable>, 'metadata'> {
  waiting_for: Waiting['for'] | null
  next_action_at: Date | null
  next_action_ms: number | null
}

export function toView(row: ViewRow): PaymentView {
  const { metadata, waiting_for, next_action_at: nextActionAt, next_action_ms: nextActionMs } = row
  return {
    ...toPayment(row),
    metadata: metadata && metadataOf(Object.entries(metadata)),
    waiting: waiting_for && { for: waiting_for, nextActionAt, nextActionMs },
  }
}

/** Names a payment of a merchant. */
export interface PaymentName {
  readonly merchantId: string
  readonly id: string
}

/** Finds a payment of a merchant. */
export async function findPayment(db: Kysely<Tables>, name: PaymentName): Promise<PaymentView | undefined> {
  const [row] = await FIND(db, name)
  return row && toView(row)
}

const FIND = compiledOnce((db: Kysely<Tables>, parameter: ParameterOf<PaymentName>) =>
  db
    .selectFrom('payments')
    .select(VIEW)
    .where('id', '=', parameter('id'))
    .where(isOfMerchant(parameter('merchantId'))),
)

const GIVEN = recordSet('given', { place: 'int', id: 'uuid', merchant_id: 'uuid' })

interface Values {
  names: string
}

/** The value of the parameter. */
const valuesOf = (names: readonly PaymentName[]): Values => ({
  names: GIVEN.json(names.map(({ id, merchantId }, place) => ({ place, id, merchant_id: merchantId }))),
})

/** Finds payments of merchants in one statement. Returns one for each name, in their order, or undefined. */
export async function findPayments(
  db: Kysely<Tables>,
  names: readonly PaymentName[],
): Promise<(PaymentView | undefined)[]> {
  const rows = await FIND_ALL(db, valuesOf(names))
  const found = new Map(rows.map((row) => [row.place, row]))
  return names.map((_, place) => {
    const row = found.get(place)
    return row && toView(row)
  })
}

const FIND_ALL = compiledOnce((db: Kysely<Tables>, parameter: ParameterOf<Values>) =>
  db
    .selectFrom(GIVEN.from(parameter('names')))
    // `limit` is a fence: it keeps this a look-up by the primary key for each name, in every plan.
    .crossJoinLateral((eb) =>
      eb
        .selectFrom('payments')
        .select(VIEW)
        .whereRef('payments.id', '=', 'given.id')
        .where(isOfMerchant(sql.ref('given.merchant_id')))
        .limit(sql.lit(1))
        .as('payment'),
    )
    .selectAll('payment')
    .select('given.place'),
)

/** Returns the names of those payments that are settled, in their order. Reads nothing but their ids and status. */
export async function findSettled<Name extends PaymentName>(
  db: Kysely<Tables>,
  names: readonly Name[],
): Promise<Name[]> {
  const rows = await FIND_SETTLED(db, valuesOf(names))
  const places = new Set(rows.map(({ place }) => place))
  return names.filter((_, place) => places.has(place))
}

const FIND_SETTLED = compiledOnce((db: Kysely<Tables>, parameter: ParameterOf<Values>) =>
  db
    .selectFrom(GIVEN.from(parameter('names')))
    .crossJoinLateral((eb) =>
      eb
        .selectFrom('payments')
        .select('payments.status')
        .whereRef('payments.id', '=', 'given.id')
        .where(isOfMerchant(sql.ref('given.merchant_id')))
        .limit(sql.lit(1))
        .as('payment'),
    )
    .select('given.place')
    .where('payment.status', '<>', sql.lit('PENDING')),
)
