/** What an error says, also where its message is empty: dialling `localhost` fails once for each of its addresses. */
export function errorMessage(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(errorMessage).join(', ')
  return error instanceof Error ? error.message : String(error)
}

/** AMQP's `basic.publish`, by its class and its method. */
const PUBLISH = { classId: 60, methodId: 40 }

/** No right (403), locked (405), another queue by that name (406): asking again does not help, an operator does. */
export function isRefusal(error: unknown): boolean {
  return [403, 405, 406].includes(closeOf(error).code ?? 0) && !isOverPublish(error) && !isUnacknowledged(error)
}

/** A delivery was not acknowledged within RabbitMQ's `consumer_timeout`: 406 as well, and only the text tells. */
export function isUnacknowledged(error: unknown): boolean {
  return closeOf(error).code === 406 && /delivery acknowledgement on channel \S+ timed out/.test(errorMessage(error))
}

/** The broker answered, and does not let this user in (403), or not into this vhost (530). */
export function isLoginRefused(error: unknown): boolean {
  const { code } = closeOf(error)
  // During the handshake amqplib has only the broker's text.
  return code === 403 || code === 530 || /ACCESS[-_]REFUSED|NOT[-_]ALLOWED/.test(errorMessage(error))
}

/** The broker let the user in, and has no such vhost: no other user would help. */
export function isVhostMissing(error: unknown): boolean {
  return /NOT_ALLOWED - vhost .* not found/s.test(errorMessage(error))
}

/** The channel was closed over what was published on it (406), and not over a declaration. */
export function isOverPublish(error: unknown): boolean {
  const { code, classId, methodId } = closeOf(error)
  return code === 406 && classId === PUBLISH.classId && methodId === PUBLISH.methodId
}

/**
 * Whether the broker says that what it was sent is wrong: 406 for a channel; 501 FRAME_ERROR, 502 SYNTAX_ERROR, 505
 * UNEXPECTED_FRAME or 540 NOT_IMPLEMENTED for a connection. A missing right (403), a missing exchange (404), a failure of its own (541)
 * and a loss without a code say nothing of a message.
 */
export function blamesMessage(error: unknown, lost: 'channel' | 'connection'): boolean {
  const { code = 0 } = closeOf(error)
  return lost === 'channel' ? code === 406 : [501, 502, 505, 540].includes(code)
}

/** What amqplib keeps of the broker's `channel.close` or `connection.close`. */
function closeOf(error: unknown): { code?: number; classId?: number; methodId?: number } {
  return error instanceof Error ? (error as ReturnType<typeof closeOf>) : {}
}

/** The broker's `max_message_size`, where it ended a channel over a message that is larger: 406, and only text tells. */
export function messageBytesMax(error: unknown): number | undefined {
  const [, bytes] = /message size \d+ is larger than .*?max size (\d+)/.exec(errorMessage(error)) ?? []
  return bytes === undefined ? undefined : Number(bytes)
}

/** What was asked for by a passive declare is not there (404). */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 404
}
