import { type Currency, isSameAmount, type Payment } from '@cashflow/domain'
import { type Kysely, sql } from 'kysely'
import { forceReplicationWait } from '../postgres/standby.ts'
import type { Tables } from '../tables.ts'

/** The payment that has a new payment's reference: the new one itself, or another one, which may have been pruned. */
export interface ReferenceHolder {
  readonly paymentId: string
  /** The members in which the other one differs from the new one. */
  readonly mismatch: readonly ('amount' | 'currency')[]
}

/** A stored payment that has the reference of a given one. */
interface HolderRow {
  given_id: string
  id: string
  amount_minor: string
  currency: Currency
}

/** Finds the payments that have the references of `payments`, which were not inserted, by the ids of the latter. */
export async function findHolders(db: Kysely<Tables>, payments: readonly Payment[]): Promise<Map<string, HolderRow>> {
  const given = payments.map(({ id, merchantId, reference }) => ({ id, merchant_id: merchantId, reference }))
  // With a younger snapshot than the insert's: those rows have committed by now, or are our own. Whether a standby has
  // them is not known, so the answer waits for it. Each looked up by itself (limit is a fence), or a plan made for few
  // payments would read all of them.
  const { rows } = await sql<HolderRow>`
    with logged as materialized (select ${forceReplicationWait()})
    select given.id as given_id, held.*
    from logged,
      json_to_recordset(${JSON.stringify(given)}::json) as given (id uuid, merchant_id uuid, reference text)
      cross join lateral (
        select id, amount_minor, currency from payments p
        where p.merchant_id = given.merchant_id and p.reference = given.reference collate "C"
        union all
        select id, amount_minor, currency from pruned_references r
        where r.merchant_id = given.merchant_id and r.reference = given.reference collate "C"
        limit 1
      ) held`.execute(db)
  if (rows.length < payments.length) throw new Error('A payment was neither inserted nor in the way')
  return new Map(rows.map((row) => [row.given_id, row]))
}

/** @param row undefined where the given payment was inserted */
export function toReferenceHolder(given: Payment, row?: HolderRow): ReferenceHolder {
  const mismatch: ('amount' | 'currency')[] = []
  if (row && !isSameAmount({ amountMinor: BigInt(row.amount_minor), currency: row.currency }, given))
    mismatch.push('amount')
  if (row && row.currency !== given.currency) mismatch.push('currency')
  return { paymentId: row?.id ?? given.id, mismatch }
}
