import { idOf, type PaymentRequest } from '../payment-request.ts'
import { about } from './clients.ts'
import type { Rule } from './rule.ts'

/** Rules about idempotency keys. */
export const IDEMPOTENCY_RULES: readonly Rule[] = [
  {
    name: 'an idempotency key has one payment, which answers name',
    harm: 'doubled',
    *check({ payments, paymentRequests }) {
      const byKey = Map.groupBy(payments, keyOf)
      for (const request of paymentRequests) {
        const key = keyOf(request)
        if (key === undefined) continue
        const rows = byKey.get(key) ?? []
        for (const { id } of rows.slice(1)) yield [id, `${key} has ${rows.length} payments`]
        const id = idOf(request)
        if (id !== undefined && rows[0]?.id !== id) yield [id, `${key} has ${rows[0]?.id ?? 'no payment'}`]
      }
    },
  },
  {
    name: 'all answers of an idempotency key have the body of the creation, byte for byte',
    harm: 'other',
    *check({ paymentRequests }) {
      for (const request of paymentRequests) {
        const bodies = new Set(request.answers.flatMap(({ body }) => body ?? []))
        if (bodies.size > 1) yield about(request, `has the bodies ${[...bodies].join(', ')}`)
        for (const body of bodies) if (!isCreation(body)) yield about(request, `was created as ${body}`)
      }
    },
  },
  {
    name: 'at the end, each API replays each request with an idempotency key',
    harm: 'other',
    *check({ paymentRequests, apis }) {
      for (const request of paymentRequests) {
        const replays = request.answers.filter(({ isReplay }) => isReplay === true)
        if (idOf(request) !== undefined && keyOf(request) !== undefined && replays.length < apis)
          yield about(request, `was replayed ${replays.length} times, not through ${apis} APIs`)
      }
    },
  },
]

/** An idempotency key with its merchant, as it is unique. */
function keyOf({
  merchantId,
  idempotencyKey,
}: Pick<PaymentRequest, 'merchantId'> & { idempotencyKey?: string | null }) {
  return idempotencyKey ? `${idempotencyKey} of merchant ${merchantId}` : undefined
}

/** A replay shows the payment as it was created, also after its end. */
function isCreation(body: string): boolean {
  return body.includes('"status":"PENDING"')
}
