import type { NewMessage } from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'

const CHUNK = 5_000

/** Generates the messages of new payments, as an API appends them, in chunks. */
export function* createdMessages(count: number): Generator<NewMessage[]> {
  for (let left = count; left > 0; left -= CHUNK)
    yield Array.from({ length: Math.min(CHUNK, left) }, () => createdMessage(uuidv7()))
}

/**
 * Generates `perKey` messages of each key: the first message of all keys, then the second of all keys, and so on. The
 * payload holds the `place` within the key.
 */
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
