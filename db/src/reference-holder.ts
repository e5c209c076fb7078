import { type Currency, isSameAmount, type Payment } from '@cashflow/domain'

/** The payment that has a new payment's reference: the new one itself, or another one. */
export interface ReferenceHolder {
  readonly paymentId: string
  /** The members in which the other one differs from the new one. */
  readonly mismatch: readonly ('amount' | 'currency')[]
}

/** A stored payment that has the reference of a given one. */
export interface HolderRow {
  given_id: string
  id: string
  amount_minor: string
  currency: Currency
}

/** @param row undefined where the given payment was inserted */
export function toReferenceHolder(given: Payment, row?: HolderRow): ReferenceHolder {
  const mismatch: ('amount' | 'currency')[] = []
  if (row && !isSameAmount({ amountMinor: BigInt(row.amount_minor), currency: row.currency }, given))
    mismatch.push('amount')
  if (row && row.currency !== given.currency) mismatch.push('currency')
  return { paymentId: row?.id ?? given.id, mismatch }
}
