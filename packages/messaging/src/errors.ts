/** What an error says, also where its message is empty: dialling `localhost` fails once for each of its addresses. */
export function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join(', ')
  return error instanceof Error ? error.message : String(error)
}

/** No right (403), locked (405), another queue by that name (406): asking again does not help, an operator does. */
export function isRefusal(error: unknown): boolean {
  if (messageBytesMax(error) !== undefined) return false
  return error instanceof Error && 'code' in error && [403, 405, 406].includes(error.code as number)
}

/** The broker's `max_message_size`, where it ended a channel over a message that is larger: 406, and only text tells. */
export function messageBytesMax(error: unknown): number | undefined {
  const [, bytes] = /message size \d+ is larger than .*?max size (\d+)/.exec(describe(error)) ?? []
  return bytes === undefined ? undefined : Number(bytes)
}

/** What was asked for by a passive declare is not there (404). */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 404
}
