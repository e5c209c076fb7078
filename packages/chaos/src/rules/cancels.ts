import { idOf } from '../payment-request.ts'
import { type Rule, referenceOf } from './rule.ts'

export const CANCELED = 'canceled'

/** Rules about canceled payments. */
export const CANCEL_RULES: readonly Rule[] = [
  {
    name: 'a payment that was answered as canceled stays canceled, also for a repeated cancel',
    harm: 'doubled',
    *check({ paymentRequests, byId }) {
      for (const request of paymentRequests) {
        const statuses = request.cancels.map(({ status }) => status)
        const first = statuses.indexOf(200)
        if (first < 0) continue
        const id = idOf(request) ?? ''
        const row = byId.get(id)
        if (row?.status !== 'FAILED' || row.failureCode !== CANCELED)
          yield [id, `is ${row?.status} (${row?.failureCode}) after its cancel`]
        if (statuses.includes(409, first)) yield [id, 'could not be canceled again']
      }
    },
  },
  {
    name: 'a canceled payment is one that its client canceled, and was not only refused to cancel',
    harm: 'lost',
    *check({ payments, paymentRequestOf }) {
      for (const row of payments) {
        if (row.failureCode !== CANCELED) continue
        const statuses = (paymentRequestOf.get(referenceOf(row))?.cancels ?? []).map(({ status }) => status)
        // A request without an answer, or with 503, may have canceled it.
        if (!statuses.some((status) => status === 200 || status === 503 || status === 'none'))
          yield [row.id, `is canceled, its client's cancels were answered with [${statuses.join(', ')}]`]
      }
    },
  },
  {
    name: 'the provider is never asked about a canceled payment',
    harm: 'doubled',
    *check({ payments, requestsOf }) {
      for (const { id, failureCode } of payments) {
        const requests = requestsOf.get(id) ?? []
        if (failureCode === CANCELED && requests.length > 0)
          yield [id, `is canceled, the provider got ${requests.map(({ method }) => method).join(', ')}`]
      }
    },
  },
]
