import { createHash } from 'node:crypto'
import { isUuid } from '@cashflow/domain'
import type { Delivery } from '@cashflow/messaging'
import type { DeadLetter } from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'
import { type PaymentMessage, retryOf } from './payment-message.ts'

const BODY_BYTES_MAX = 16_384
// PostgreSQL's text cannot hold it.
const NUL = '\u0000'

type Unreadable = Pick<Delivery, 'body' | 'bytes' | 'messageId' | 'topic'>

/** The dead letter of a parked payment. */
export function parkedLetter(message: PaymentMessage, reason: string, attempts: number): DeadLetter {
  return { ...retryOf(message), source: 'worker', reason, attempts }
}

/** The dead letter of a message whose payment does not exist. The API commits a payment before its message is visible. */
export function unknownLetter(message: PaymentMessage): DeadLetter {
  return { ...retryOf(message), source: 'worker', reason: 'no such payment', attempts: 0 }
}

/** The dead letter of a payment whose row PostgreSQL cannot read or write. The row cannot be marked as parked. */
export function damagedLetter(message: PaymentMessage, error: Error & { code?: unknown }): DeadLetter {
  const reason = `PostgreSQL cannot use the payment's row: ${error.code} ${error.message}`
  return { ...retryOf(message), source: 'database', reason, attempts: 0 }
}

/** The dead letter of an unreadable delivery, in a form that PostgreSQL can store. The same delivery has the same key. */
export function unreadableLetter(delivery: Unreadable): DeadLetter {
  const { body, bytes, messageId, topic } = delivery
  const digest = digestOf(delivery)
  const hasId = messageId !== undefined && messageId !== '' && !messageId.includes(NUL)
  return {
    messageId: hasId && isUuid(messageId) ? messageId : uuidv7(),
    // Two different messages may have the same id, and each gets its own letter.
    key: hasId ? `${messageId} ${digest.slice(0, 16)}` : digest,
    topic: topic.replaceAll(NUL, ''),
    payload: { ...readable(body), bytes },
    source: 'queue',
    reason: 'the message is not readable',
    attempts: 0,
  }
}

/** The same letter in ASCII only, for a database whose encoding lacks characters of `unreadableLetter`. */
export function plainLetter(delivery: Unreadable): DeadLetter {
  return {
    messageId: uuidv7(),
    key: digestOf(delivery),
    topic: delivery.topic.replace(/[^ -~]/gu, '?'),
    payload: { ...inBase64(delivery.body), bytes: delivery.bytes },
    source: 'queue',
    reason: 'the message is not readable, and PostgreSQL did not take it as text',
    attempts: 0,
  }
}

/** The beginning of the body as text if it is valid UTF-8, otherwise in base64. */
function readable(body: Buffer): { body: string; encoding: 'utf8' | 'base64' } {
  const beginning = body.subarray(0, BODY_BYTES_MAX)
  try {
    // In stream mode the decoder leaves out a character that the limit has cut in two.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(beginning, { stream: beginning.length < body.length })
    if (!text.includes(NUL)) return { body: text, encoding: 'utf8' }
  } catch {
    // Not UTF-8.
  }
  return inBase64(body)
}

function inBase64(body: Buffer): { body: string; encoding: 'base64' } {
  return { body: body.subarray(0, BODY_BYTES_MAX).toString('base64'), encoding: 'base64' }
}

function digestOf({ body, bytes }: Unreadable): string {
  const hash = createHash('sha256').update(body)
  // Messaging keeps only the beginning of a large body. The size tells two of them apart.
  if (bytes > body.length) hash.update(`${bytes}`)
  return hash.digest('hex')
}
