import { formatMoney, type Payment } from '@cashflow/domain'

/** A payment as clients see it. Each member is listed here, so that a new member of the domain's payment stays private. */
export function paymentView(payment: Payment) {
  return {
    id: payment.id,
    amount: JSON.rawJSON(formatMoney(payment)),
    currency: payment.currency,
    reference: payment.reference,
    status: payment.status,
    created_at: payment.createdAt,
  }
}
