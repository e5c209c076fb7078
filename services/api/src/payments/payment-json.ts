import { formatMoney, type Metadata, type PaymentWithMetadata } from '@cashflow/domain'

/**
 * A payment as clients see it, as JSON text. Each member is listed here, so that a new member of the domain's payment stays
 * private. A payment without metadata has no `metadata`.
 */
export function paymentJson(payment: PaymentWithMetadata): string {
  const text = JSON.stringify({
    id: payment.id,
    amount: JSON.rawJSON(formatMoney(payment)),
    // At most 10^15 − 1: a double holds it exactly.
    amount_minor: Number(payment.amountMinor),
    currency: payment.currency,
    reference: payment.reference,
    status: payment.status,
    created_at: payment.createdAt,
  })
  return payment.metadata ? `${text.slice(0, -1)},"metadata":${metadataJson(payment.metadata)}}` : text
}

/** As text, because an object would put names such as `10` first, in the order of the numbers. */
function metadataJson(metadata: Metadata): string {
  const members = Array.from(metadata, ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
  return `{${members.join(',')}}`
}
