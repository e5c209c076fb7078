import type { PaymentEvent } from '@cashflow/domain'
import type { Expression, ExpressionBuilder, SqlBool, Transaction } from 'kysely'
import { recordSet } from '../record-set.ts'
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

type Events = { event: { payment_id: string; place: number } }

/**
 * Inserts events, as a `with` of a statement of the same `tx`.
 *
 * @param where on the columns of an event, and its `place` in `events`: only those that it holds for are inserted
 */
export function recordStep(
  tx: Transaction<Tables>,
  events: readonly EventInsert[],
  where: (eb: ExpressionBuilder<Events, 'event'>) => Expression<SqlBool>,
) {
  const rows = events.map(({ event, actor, requestId }, place) => ({
    payment_id: event.paymentId,
    merchant_id: event.merchantId,
    sequence: event.sequence,
    type: event.type,
    data: event.data,
    actor,
    request_id: requestId,
    created_at: event.at,
    place,
  }))
  return tx
    .insertInto('payment_events')
    .columns(COLUMNS)
    .expression(tx.selectFrom(EVENTS.from(rows)).select(COLUMNS).where(where))
}
