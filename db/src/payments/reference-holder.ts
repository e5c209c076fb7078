import { defined } from '@cashflow/async'
import { type Currency, isSameAmount, type Payment } from '@cashflow/domain'
import { type Kysely, sql } from 'kysely'
import { forceReplicationWait } from '../postgres/standby.ts'
import { recordSet } from '../statement.ts'
import type { Tables } from '../tables.ts'

/** The payment that has a new payment's reference: the new one itself, or another one, which may have been pruned. */
export interface ReferenceHolder {
  readonly paymentId: string
  /** The members in which the holder differs from the new payment. */
  readonly mismatch: readonly ('amount' | 'currency')[]
}

/**
 * Finds the payments that have the references of new payments, after the COMMIT of the transaction that `inserted` some of
 * them. It is a statement of its own, as only a younger snapshot shows the rows that the insert ran into.
 *
 * @param inserted the ids of the payments that were inserted
 * @returns for each, in their order, the payment that has its reference. That is the payment itself where it was inserted,
 * by this transaction or by an earlier one whose answer was lost
 */
export async function findHolders(
  db: Kysely<Tables>,
  payments: readonly { readonly payment: Payment }[],
  inserted: ReadonlySet<string>,
): Promise<ReferenceHolder[]> {
  const others = payments.flatMap(({ payment }) => (inserted.has(payment.id) ? [] : [payment]))
  const rows = others.length > 0 ? await findRows(db, others) : []
  const found = new Map(rows.map((row) => [row.given_id, row]))
  return payments.map(({ payment }) => {
    if (inserted.has(payment.id)) return { paymentId: payment.id, mismatch: [] }
    return toReferenceHolder(
      payment,
      defined(found.get(payment.id), `holder of the reference of payment ${payment.id}`),
    )
  })
}

const GIVEN = recordSet('given', { id: 'uuid', merchant_id: 'uuid', reference: 'text' })

function findRows(db: Kysely<Tables>, payments: readonly Payment[]) {
  const given = payments.map(({ id, merchantId, reference }) => ({ id, merchant_id: merchantId, reference }))
  const reference = sql<string>`given.reference collate "C"` // The builder has COLLATE only in an ORDER BY.
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
      .crossJoinLateral((eb) =>
        eb
          .selectFrom('payments as p')
          .select(['p.id', 'p.amount_minor', 'p.currency'])
          .whereRef('p.merchant_id', '=', 'given.merchant_id')
          .where('p.reference', '=', reference)
          .unionAll(
            eb
              .selectFrom('pruned_references as r')
              .select(['r.id', 'r.amount_minor', 'r.currency'])
              .whereRef('r.merchant_id', '=', 'given.merchant_id')
              .where('r.reference', '=', reference),
          )
          .limit(sql.lit(1))
          .as('held'),
      )
      .select(['given.id as given_id', 'held.id', 'held.amount_minor', 'held.currency'])
      .execute()
  )
}

function toReferenceHolder(given: Payment, held: HolderRow): ReferenceHolder {
  const currency = held.currency as Currency
  const mismatch: ('amount' | 'currency')[] = []
  if (!isSameAmount({ amountMinor: BigInt(held.amount_minor), currency }, given)) mismatch.push('amount')
  if (currency !== given.currency) mismatch.push('currency')
  return { paymentId: held.id, mismatch }
}

type HolderRow = Awaited<ReturnType<typeof findRows>>[number]
