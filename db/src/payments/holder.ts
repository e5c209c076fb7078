import { defined } from '@cashflow/async'
import { isKnownCurrency, isSameAmount, type Payment } from '@cashflow/domain'
import { type Kysely, sql } from 'kysely'
import { forceReplicationWait } from '../postgres/standby.ts'
import { recordSet } from '../statement.ts'
import type { Tables } from '../tables.ts'
import type { PaymentInsert } from './insert.ts'

/** The payment that stands where a new payment was to be stored. One that was pruned still stands there. */
export type Holder =
  /** The new payment, stored by this transaction or by an earlier one whose answer was lost. */
  | { readonly has: 'itself'; readonly paymentId: string }
  /** Another payment with the new one's idempotency key. If its reference is taken as well, the key decides. */
  | {
      readonly has: 'key'
      readonly paymentId: string
      readonly createdAt: Date
      readonly mismatch: readonly (Member | 'reference')[]
    }
  /** Another payment with the new one's reference, and with another key or none. */
  | { readonly has: 'reference'; readonly paymentId: string; readonly mismatch: readonly Member[] }

/** A member in which the holder may differ from the new payment. */
type Member = 'amount' | 'currency' | 'metadata'

/**
 * Finds the payments that have the idempotency keys or the references of new payments, after the COMMIT of the transaction
 * that `inserted` some of them. It is a statement of its own, as only a younger snapshot shows the rows that the insert ran
 * into.
 *
 * @param inserted the ids of the payments that were inserted
 * @returns the holder of each payment, in their order
 */
export async function findHolders(
  db: Kysely<Tables>,
  payments: readonly PaymentInsert[],
  inserted: ReadonlySet<string>,
): Promise<Holder[]> {
  const others = payments.filter(({ payment }) => !inserted.has(payment.id))
  const rows = others.length > 0 ? await findRows(db, others) : []
  const found = new Map(rows.map((row) => [row.given_id, row]))
  return payments.map(({ payment }) => {
    if (inserted.has(payment.id)) return { has: 'itself', paymentId: payment.id }
    return toHolder(payment, defined(found.get(payment.id), `holder of the key or reference of payment ${payment.id}`))
  })
}

const GIVEN = recordSet('given', {
  id: 'uuid',
  merchant_id: 'uuid',
  reference: 'text',
  idempotency_key: 'text',
  metadata: 'jsonb',
})

function findRows(db: Kysely<Tables>, payments: readonly PaymentInsert[]) {
  const given = payments.map(({ payment, idempotencyKey }) => ({
    id: payment.id,
    merchant_id: payment.merchantId,
    reference: payment.reference,
    idempotency_key: idempotencyKey,
    metadata: payment.metadata ? Object.fromEntries(payment.metadata) : undefined,
  }))
  // `as`: both tables have these columns. As `sql`: the builder has COLLATE only in an ORDER BY.
  const held = (table: 'payments' | 'pruned_references', column: 'idempotency_key' | 'reference') =>
    db
      .selectFrom(`${table as 'pruned_references'} as h`)
      .select(['h.id', 'h.amount_minor', 'h.currency', 'h.reference', 'h.created_at'])
      .select([
        sql.lit(column === 'reference').as('by_reference'),
        sql<boolean>`h.metadata is not distinct from given.metadata`.as('same_metadata'),
      ])
      .where('h.merchant_id', '=', sql<string>`given.merchant_id`)
      .where(`h.${column}`, '=', sql<string>`given.${sql.ref(column)} collate "C"`)
  return (
    db
      // The standby may not have the rows that this reads yet, so the answer waits for it.
      .with(
        (cte) => cte('logged').materialized(),
        (qb) => qb.selectNoFrom(forceReplicationWait().as('mark')),
      )
      .selectFrom(['logged', GIVEN.from(sql.val(GIVEN.json(given)))])
      // PostgreSQL would make a join of this, and one that was planned for few payments may read all of them. `limit` is a
      // fence: it keeps this a look-up by the unique index for each row.
      .crossJoinLateral(
        held('payments', 'idempotency_key')
          .unionAll(held('pruned_references', 'idempotency_key'))
          .unionAll(held('payments', 'reference'))
          .unionAll(held('pruned_references', 'reference'))
          .orderBy('by_reference')
          .limit(sql.lit(1))
          .as('held'),
      )
      .select('given.id as given_id')
      .selectAll('held')
      .execute()
  )
}

function toHolder(given: Payment, held: HolderRow): Holder {
  const paymentId = held.id
  if (paymentId === given.id) return { has: 'itself', paymentId }
  const { currency } = held
  const mismatch: Member[] = []
  // Amounts of a currency that only a newer version knows cannot be compared.
  if (isKnownCurrency(currency) && !isSameAmount({ amountMinor: BigInt(held.amount_minor), currency }, given))
    mismatch.push('amount')
  if (currency !== given.currency) mismatch.push('currency')
  if (!held.same_metadata) mismatch.push('metadata')
  if (held.by_reference) return { has: 'reference', paymentId, mismatch }
  return {
    has: 'key',
    paymentId,
    createdAt: held.created_at ?? timeOf(paymentId),
    mismatch: held.reference === given.reference ? mismatch : [...mismatch, 'reference'],
  }
}

/**
 * The time in a UUIDv7, in which the api created the payment (RFC 9562 §5.7). A payment that was pruned before migration
 * 0012 has no other.
 */
function timeOf(id: string): Date {
  return new Date(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16))
}

type HolderRow = Awaited<ReturnType<typeof findRows>>[number]
