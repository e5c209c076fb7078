import type { PaymentView } from '@cashflow/db'
import type { NamedPayment } from '@cashflow/db/operator'
import { formatMoney, isKnownCurrency, type Money } from '@cashflow/domain'
import type { PaymentAnswer } from '../answers.ts'
import { timeOf } from './request.ts'

export function toPaymentAnswer(payment: PaymentView, merchant: string | null): PaymentAnswer {
  return {
    id: payment.id,
    merchant_id: payment.merchantId,
    merchant,
    reference: payment.reference,
    ...amountOf(payment),
    status: payment.status,
    failure_code: payment.failureCode,
    waiting_for: payment.waiting?.for ?? null,
    next_action_at: timeOf(payment.waiting?.nextActionAt ?? null),
    created_at: timeOf(payment.createdAt),
    settled_at: timeOf(payment.settledAt),
  }
}

/** A payment that was pruned: only what stays of it is known. */
export function toPrunedAnswer(payment: NamedPayment): PaymentAnswer {
  return {
    id: payment.id,
    merchant_id: payment.merchantId,
    merchant: payment.merchant,
    reference: payment.reference,
    ...amountOf(payment),
    status: payment.status,
    failure_code: null,
    waiting_for: null,
    next_action_at: null,
    created_at: timeOf(payment.createdAt),
    settled_at: null,
  }
}

/** A currency that this version does not know has no decimal point: its amount is one of minor units, and says so. */
function amountOf(money: Money): Pick<PaymentAnswer, 'amount' | 'currency'> {
  const { amountMinor, currency } = money
  if (isKnownCurrency(currency)) return { amount: formatMoney(money), currency }
  return { amount: String(amountMinor), currency: `minor units of ${currency}` }
}
