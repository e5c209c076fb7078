import type { NewMessage } from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'

const CHUNK = 5_000

/** What APIs append for as many new payments, a few thousand at a time. */
export function* createdMessages(count: number): Generator<NewMessage[]> {
  for (let left = count; left > 0; left -= CHUNK)
    yield Array.from({ length: Math.min(CHUNK, left) }, () => createdMessage(uuidv7()))
}

/** Several messages of each key, a round of all keys after the other. Their payload holds their `place` within the key. */
export function* orderedMessages(keys: readonly string[], perKey: number): Generator<NewMessage[]> {
  for (let place = 0; place < perKey; place++)
    for (let from = 0; from < keys.length; from += CHUNK)
      yield keys.slice(from, from + CHUNK).map((key) => createdMessage(key, { place }))
}

export function createdMessage(paymentId: string, more: Readonly<Record<string, unknown>> = {}): NewMessage {
  return {
    messageId: uuidv7(),
    key: paymentId,
    topic: 'payment.created',
    payload: { payment_id: paymentId, ...more },
    headers: { 'x-request-id': uuidv7() },
  }
}
