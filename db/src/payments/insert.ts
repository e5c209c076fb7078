import type { PaymentEvent, PaymentWithMetadata } from '@cashflow/domain'
import { appendStep, compiledOnce, messagesJson, type NewMessage, type ParameterOf } from '@cashflow/outbox'
import { type ExpressionBuilder, sql, type Transaction } from 'kysely'
import { EVENT, eventOf, recordStep } from '../events/record.ts'
import { isAmong, recordSet } from '../statement.ts'
import type { Tables } from '../tables.ts'
import { fromNow } from './row.ts'

/** A new payment, with what is stored together with it. */
export interface PaymentInsert {
  readonly payment: PaymentWithMetadata
  /** The client's name for the request, unique per merchant. It finds the payment again, forever. */
  readonly idempotencyKey?: string | undefined
  readonly event: PaymentEvent
  readonly requestId: string
  /** The request's place in its trace. It is stored in the event's trace, so that a redrive continues it. */
  readonly traceparent?: string | undefined
  readonly messages: readonly NewMessage[]
}

const PAYMENT = {
  id: 'uuid',
  merchant_id: 'uuid',
  reference: 'text',
  amount_minor: 'bigint',
  currency: 'text',
  status: 'text',
  created_at: 'timestamptz',
  metadata: 'jsonb',
  idempotency_key: 'text',
} as const
const COLUMNS = Object.keys(PAYMENT) as (keyof typeof PAYMENT)[]

const GIVEN = recordSet('given', { ...PAYMENT, ...EVENT })

/**
 * Stores new payments, their events and their outbox messages: `inserted`, `recorded` and `appended` below. A payment whose
 * reference or idempotency key is taken is left out, with its event and its messages: `findHolders` tells which payment has it.
 *
 * @param redriveAfterMs time from now after which a payment that is still PENDING is sent through the pipeline again
 * @returns the ids of the payments that were stored
 */
export async function insertPayments(
  tx: Transaction<Tables>,
  payments: readonly PaymentInsert[],
  { redriveAfterMs }: { redriveAfterMs: number },
): Promise<ReadonlySet<string>> {
  const rows = await INSERT(tx, {
    payments: GIVEN.json(payments.map(toRow)),
    messages: messagesJson(payments.flatMap(({ messages }) => messages)),
    redriveAfterMs,
  })
  return new Set(rows.map(({ id }) => id))
}

interface Values {
  payments: string
  messages: string
  redriveAfterMs: number
}

const INSERT = compiledOnce((tx: Transaction<Tables>, parameter: ParameterOf<Values>) =>
  tx
    .with(
      (cte) => cte('given').materialized(),
      (qb) => qb.selectFrom(GIVEN.from(parameter('payments'))).selectAll(),
    )
    .with('inserted', (qb) =>
      qb
        .insertInto('payments')
        .columns([...COLUMNS, 'last_hash', 'redrive_at'])
        .expression(
          qb
            .selectFrom('given')
            .select([...COLUMNS, 'hash', fromNow(parameter('redriveAfterMs')).as('redrive_at')])
            .where(isUnpruned)
            // Two transactions with the same references in different orders would deadlock. So they are sorted.
            .orderBy('merchant_id')
            .orderBy('reference', (order) => order.collate('C')),
        )
        .onConflict((conflict) => conflict.doNothing())
        .returning('id'),
    )
    .with('recorded', (qb) =>
      recordStep(tx, 'given', (event) => isAmong(event.ref('id'), qb.selectFrom('inserted').select('id'))),
    )
    .with('appended', (qb) =>
      appendStep(tx, parameter('messages'), (message) =>
        isAmong(
          message.ref('key'),
          qb.selectFrom('inserted').select((eb) => eb.cast<string>('id', 'text').as('id')),
        ),
      ),
    )
    .selectFrom('inserted')
    .select('id'),
)

function toRow({ payment, idempotencyKey, event, requestId, traceparent }: PaymentInsert) {
  const trace = traceparent === undefined ? undefined : { traceparent }
  return {
    id: payment.id,
    merchant_id: payment.merchantId,
    reference: payment.reference,
    amount_minor: payment.amountMinor.toString(),
    currency: payment.currency,
    status: payment.status,
    created_at: payment.createdAt,
    // Left out if there is none: most payments have no metadata, and each member costs time.
    metadata: payment.metadata ? Object.fromEntries(payment.metadata) : undefined,
    idempotency_key: idempotencyKey,
    ...eventOf({ event, actor: 'api', requestId, trace }),
  }
}

type Given = Tables & { given: { merchant_id: string; reference: string; idempotency_key: string } }

/**
 * True if no pruned payment had the reference or the idempotency key. Without `offset`, PostgreSQL would make a join of
 * this look-up. A join that was planned while few references were pruned may later read all pruned references. With
 * `offset` each row is looked up by a unique index.
 *
 * An insert that began before a reference was pruned does not see it here. The trigger waits_for_older_inserts makes the
 * pruning wait for that insert. As `sql`: the builder has COLLATE only in an ORDER BY.
 */
function isUnpruned(eb: ExpressionBuilder<Given, 'given'>) {
  const pruned = (column: 'reference' | 'idempotency_key') =>
    eb.exists(
      eb
        .selectFrom('pruned_references as r')
        .select(sql.lit(1).as('one'))
        .whereRef('r.merchant_id', '=', 'given.merchant_id')
        .where(`r.${column}`, '=', sql<string>`given.${sql.ref(column)} collate "C"`)
        .offset(sql.lit(0)),
    )
  return eb.not(
    eb.or([pruned('reference'), eb.and([eb('given.idempotency_key', 'is not', null), pruned('idempotency_key')])]),
  )
}
