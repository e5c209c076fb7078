import { errorMessage } from '@cashflow/async'
import { closeOf } from './amqplib-internals.ts'

/** AMQP's `basic.publish`, by its class and its method. */
const PUBLISH = { classId: 60, methodId: 40 }

/** A missing right (403), a lock (405), or a queue that has other arguments (406). It lasts until an operator acts. */
export function isRefusal(error: unknown): boolean {
  const { code = 0 } = closeOf(error)
  return [403, 405, 406].includes(code) && !isOverPublish(error) && !isUnacknowledged(error)
}

/** A delivery was not acknowledged within RabbitMQ's `consumer_timeout`. The code is 406: only the text is specific. */
export function isUnacknowledged(error: unknown): boolean {
  return closeOf(error).code === 406 && /delivery acknowledgement on channel \S+ timed out/.test(errorMessage(error))
}

/** The broker answered, and refuses this user (403), or this user on this vhost (530). */
export function isLoginRefused(error: unknown): boolean {
  const { code } = closeOf(error)
  // For a failed handshake amqplib keeps only the broker's text.
  return code === 403 || code === 530 || /ACCESS[-_]REFUSED|NOT[-_]ALLOWED/.test(errorMessage(error))
}

/** The broker accepted the user, and has no such vhost: another user would not help. */
export function isVhostMissing(error: unknown): boolean {
  return /NOT_ALLOWED - vhost .* not found/s.test(errorMessage(error))
}

/** The broker closed the channel over a published message (406), not over a declaration. */
export function isOverPublish(error: unknown): boolean {
  const { code, classId, methodId } = closeOf(error)
  return code === 406 && classId === PUBLISH.classId && methodId === PUBLISH.methodId
}

/**
 * True if the broker's code says that it received something invalid. For a channel that is 406 PRECONDITION_FAILED. For a
 * connection: 501 FRAME_ERROR, 502 SYNTAX_ERROR, 505 UNEXPECTED_FRAME, 540 NOT_IMPLEMENTED. Other ends do not depend on a
 * message: a missing right (403), a missing exchange (404), an internal error (541), or a loss without a code.
 */
export function blamesMessage(error: unknown, lost: 'channel' | 'connection'): boolean {
  const { code = 0 } = closeOf(error)
  return lost === 'channel' ? code === 406 : [501, 502, 505, 540].includes(code)
}

/**
 * The broker's `max_message_size` in bytes, where it closed the channel over a message that is larger. The code is 406:
 * only the text has the size.
 */
export function messageBytesMax(error: unknown): number | undefined {
  const [, bytes] = /message size \d+ is larger than .*?max size (\d+)/.exec(errorMessage(error)) ?? []
  return bytes === undefined ? undefined : Number(bytes)
}

/** A passive declare found no such queue or exchange (404). */
export function isMissing(error: unknown): boolean {
  return closeOf(error).code === 404
}
