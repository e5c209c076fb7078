import type { PaymentEvent } from '@cashflow/domain'
import { type Expression, type ExpressionBuilder, type SqlBool, sql, type Transaction } from 'kysely'
import { byteaText, type RowOf } from '../statement.ts'
import type { Tables } from '../tables.ts'
import { eventHash } from './hash.ts'

/** An event of a payment, with who caused it. */
export interface EventInsert {
  readonly event: PaymentEvent
  /** The service, or `operator`. */
  readonly actor: string
  readonly requestId: string | undefined
  /**
   * The hash of the payment's event before. Undefined for the first event. Null if an earlier version wrote the event
   * before: this event then has no hash either, until `verify --seal`.
   */
  readonly previousHash?: Buffer | null | undefined
  /** How the event came about, for operators: JSON that no API shows. */
  readonly trace?: object | undefined
}

/** The columns of a record set whose rows have an event each. */
export const EVENT = {
  sequence: 'int',
  type: 'text',
  data: 'jsonb',
  actor: 'text',
  request_id: 'text',
  occurred_at: 'timestamptz',
  hash: 'bytea',
  trace: 'jsonb',
} as const

export const EVENT_COLUMNS = Object.keys(EVENT) as (keyof typeof EVENT)[]

/** The values of these columns. */
export function eventOf({ event, actor, requestId, previousHash, trace }: EventInsert) {
  const { sequence, type, data, at } = event
  const hash =
    previousHash === null ? undefined : eventHash(previousHash, { ...event, actor, requestId, createdAt: event.at })
  return {
    sequence,
    type,
    data,
    actor,
    request_id: requestId,
    occurred_at: at,
    hash: hash && byteaText(hash),
    trace,
  }
}

type Row = RowOf<typeof EVENT> & { id: string; merchant_id: string }

/** The columns of the table, each with the one that its value comes from. */
const COLUMNS = {
  payment_id: 'id',
  merchant_id: 'merchant_id',
  sequence: 'sequence',
  type: 'type',
  data: 'data',
  actor: 'actor',
  request_id: 'request_id',
  created_at: 'occurred_at',
  hash: 'hash',
  trace: 'trace',
} as const satisfies Partial<Record<keyof Tables['payment_events'], keyof Row>>

/**
 * Inserts events, as a `with` of a statement of the same `tx`.
 *
 * @param source an earlier `with` of that statement: its rows have the columns of `EVENT`, and the payment's `id` and
 * `merchant_id`
 * @param where condition on the payment's id, for the rows whose events are inserted
 */
export function recordStep(
  tx: Transaction<Tables>,
  source: string,
  where: (eb: ExpressionBuilder<{ event: Row }, 'event'>) => Expression<SqlBool> = (eb) => eb.lit(true),
) {
  return tx
    .insertInto('payment_events')
    .columns(Object.keys(COLUMNS) as (keyof typeof COLUMNS)[])
    .expression(
      tx
        .selectFrom(sql.table<Row>(source).as('event'))
        .select(Object.values(COLUMNS))
        .where((eb) => where(eb)),
    )
}
