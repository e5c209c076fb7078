const SECRET_NAME = /password|passwd|secret|token|authorization|cookie|api_?key/i
// Greedy up to the last @ of the word: a password may hold an unescaped @ or / itself.
const URL_LOGIN = /([a-z][a-z0-9+.-]*:\/\/[^\s/:@]*):\S*@/gi
const DEPTH_MAX = 6

/** A copy in which no field named like a secret and no URL shows its password. Errors become plain objects. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return value.replace(URL_LOGIN, '$1:***@')
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (depth >= DEPTH_MAX) return '[deep]'
  if (value instanceof Error) return redactError(value, depth)
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, SECRET_NAME.test(name) ? '***' : redact(item, depth + 1)]),
  )
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
