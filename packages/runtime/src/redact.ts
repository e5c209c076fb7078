const SECRET_NAME = /password|passwd|secret|token|authorization|cookie|api_?key/i
const URL_USER = /:\/\/[^/:@]*:/
const DEPTH_MAX = 6

/** A copy in which no field named like a secret and no URL shows its password. Errors become plain objects. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return withoutPasswords(value)
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (depth >= DEPTH_MAX) return '[deep]'
  if (value instanceof Error) return redactError(value, depth)
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, SECRET_NAME.test(name) ? '***' : redact(item, depth + 1)]),
  )
}

// Word by word, and each is read once: what a client sent may be long, and one pattern for all would try every ending for
// every beginning.
function withoutPasswords(text: string): string {
  return text.includes('://') ? text.replace(/\S+/g, withoutPassword) : text
}

/** Up to the last @ of the word: a password may hold an unescaped @ or / itself. */
function withoutPassword(word: string): string {
  const end = word.lastIndexOf('@')
  const user = end < 0 ? null : URL_USER.exec(word.slice(0, end))
  return user ? `${word.slice(0, user.index)}${user[0]}***${word.slice(end)}` : word
}

function redactError(error: Error, depth: number): Record<string, unknown> {
  const { name, stack, cause } = error
  const code = 'code' in error ? error.code : undefined
  return {
    name,
    message: errorMessage(error),
    ...(code === undefined ? {} : { code: redact(code, depth) }),
    ...(stack === undefined ? {} : { stack: redact(stack, depth) }),
    ...(cause === undefined ? {} : { cause: redact(cause, depth + 1) }),
  }
}

/** What went wrong in one line, never empty and without passwords. */
export function errorMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(redact(String(error)))
  // Node's error for a name with several addresses has an empty message, and one error an address.
  const parts = error instanceof AggregateError && !error.message ? error.errors.map(errorMessage) : [error.message]
  return String(redact(parts.join('; ') || error.name))
}
