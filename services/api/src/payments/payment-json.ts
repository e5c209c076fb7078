import type { PaymentView } from '@cashflow/db'
import { formatMoney, type Metadata, type PaymentWithMetadata } from '@cashflow/domain'

/**
 * A payment as clients see it, as JSON text. Each member is listed here, so that a new member of the domain's payment stays
 * private. A member without a value is left out.
 *
 * @param payment as it was created, or as it is now: then with what it waits for
 */
export function paymentJson(payment: PaymentWithMetadata & Partial<Pick<PaymentView, 'waiting'>>): string {
  const { waiting } = payment
  const text = JSON.stringify({
    id: payment.id,
    amount: JSON.rawJSON(formatMoney(payment)),
    // At most 10^15 − 1: a double holds it exactly.
    amount_minor: Number(payment.amountMinor),
    currency: payment.currency,
    reference: payment.reference,
    status: payment.status,
    failure_code: payment.failureCode ?? undefined,
    waiting_for: waiting?.for,
    next_action_at: waiting?.nextActionAt ?? undefined,
    created_at: payment.createdAt,
  })
  return payment.metadata ? `${text.slice(0, -1)},"metadata":${metadataJson(payment.metadata)}}` : text
}

/** As text, because an object would put names such as `10` first, in the order of the numbers. */
function metadataJson(metadata: Metadata): string {
  const members = Array.from(metadata, ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
  return `{${members.join(',')}}`
}
