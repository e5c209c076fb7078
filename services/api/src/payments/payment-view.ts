import { formatMoney, type Payment } from '@cashflow/domain'

/** A payment as clients see it. Every member is named here, so that none gets out by being added to the domain. */
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
