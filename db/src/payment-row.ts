import type { Currency, Payment } from '@cashflow/domain'
import type { Selectable } from 'kysely'
import type { PaymentsTable } from './tables.ts'

export function toPayment(row: Selectable<PaymentsTable>): Payment {
  return {
    id: row.id,
    merchantId: row.merchant_id,
    reference: row.reference,
    amountMinor: BigInt(row.amount_minor),
    currency: row.currency as Currency,
    status: row.status,
    failureCode: row.failure_code,
    createdAt: row.created_at,
    settledAt: row.settled_at,
  }
}
