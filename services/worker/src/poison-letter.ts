import { createHash } from 'node:crypto'
import type { Delivery } from '@cashflow/messaging'
import type { DeadLetter } from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'
import { type PaymentMessage, UUID } from './read-delivery.ts'
import { retryOf } from './set-aside.ts'

const BODY_BYTES_MAX = 16_384
// PostgreSQL's text has no place for it.
const NUL = '\u0000'

type Unreadable = Pick<Delivery, 'body' | 'bytes' | 'messageId' | 'topic'>

/** An unreadable delivery as a dead letter that PostgreSQL takes, whatever its bytes; the same one has the same key. */
export function poisonLetter(delivery: Unreadable): DeadLetter {
  const { body, bytes, messageId, topic } = delivery
  const digest = digestOf(delivery)
  const named = messageId !== undefined && messageId !== '' && !messageId.includes(NUL)
  return {
    messageId: named && UUID.test(messageId) ? messageId : uuidv7(),
    // Two messages may have one id, and each is a letter.
    key: named ? `${messageId} ${digest.slice(0, 16)}` : digest,
    topic: topic.replaceAll(NUL, ''),
    payload: { ...readable(body), bytes },
    source: 'queue',
    reason: 'the message is not readable',
    attempts: 0,
  }
}

/** The same in ASCII alone, for a database that does not take the other letter's text. */
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

/** A delivery whose payment PostgreSQL cannot read or write. Its payment is not parked: its row cannot say so. */
export function damagedLetter(message: PaymentMessage, error: Error & { code?: unknown }): DeadLetter {
  const reason = `PostgreSQL cannot use the payment's row: ${error.code} ${error.message}`
  return { ...retryOf(message), source: 'database', reason, attempts: 0 }
}

/** The beginning of a body as text, or in base64 where it is none. */
function readable(body: Buffer): { body: string; encoding: 'utf8' | 'base64' } {
  const beginning = body.subarray(0, BODY_BYTES_MAX)
  try {
    // As a stream, a character that the limit cuts in two is left out.
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
  // Of a large body only the beginning is here.
  if (bytes > body.length) hash.update(`${bytes}`)
  return hash.digest('hex')
}
