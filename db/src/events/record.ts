import type { PaymentEvent } from '@cashflow/domain'
import type { Expression, ExpressionBuilder, SqlBool, Transaction } from 'kysely'
import { recordSet } from '../statement.ts'
import type { Tables } from '../tables.ts'

/** An event of a payment, with who caused it. */
export interface EventInsert {
  readonly event: PaymentEvent
  /** The service, or `operator`. */
  readonly actor: string
  readonly requestId: string | undefined
}

const EVENTS = recordSet('event', {
  payment_id: 'uuid',
  merchant_id: 'uuid',
  sequence: 'int',
  type: 'text',
  data: 'jsonb',
  actor: 'text',
  request_id: 'text',
  created_at: 'timestamptz',
  place: 'int',
})
const COLUMNS = EVENTS.columns.filter((column) => column !== 'place')

/** The value of the parameter of `recordStep`. */
export function eventsJson(events: readonly EventInsert[]): string {
  return EVENTS.json(
    events.map(({ event, actor, requestId }, place) => ({
      payment_id: event.paymentId,
      merchant_id: event.merchantId,
      sequence: event.sequence,
      type: event.type,
      data: event.data,
      actor,
      request_id: requestId,
      created_at: event.at,
      place,
    })),
  )
}

/**
 * Inserts events, as a `with` of a statement of the same `tx`.
 *
 * @param events a parameter, whose value `eventsJson` makes
 * @param where on an event's `payment_id`, or on its `place` among the events: only those that it holds for are inserted
 */
export function recordStep(
  tx: Transaction<Tables>,
  events: Expression<string>,
  where: (eb: ExpressionBuilder<{ event: { payment_id: string; place: number } }, 'event'>) => Expression<SqlBool>,
) {
  return tx
    .insertInto('payment_events')
    .columns(COLUMNS)
    .expression(tx.selectFrom(EVENTS.from(events)).select(COLUMNS).where(where))
}
