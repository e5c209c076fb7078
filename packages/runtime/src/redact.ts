import { errorMessage } from '@cashflow/async'

const SECRET_NAME = /password|passwd|secret|token|authorization|cookie|api_?key|pepper/i
const URL_USER = /:\/\/[^/:@]*:/
/** Parameters of a PostgreSQL URL. */
const SECRET_PARAMETER = /([?&](?:password|sslpassword|passfile|passphrase)=)[^&\s]*/gi
const DEPTH_MAX = 6

/**
 * Copies a value without API keys and secrets of webhooks in any text, and without passwords in fields that are named like a
 * secret and in URLs. Errors become plain objects.
 */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return withoutPasswords(withoutParameters(withoutKeys(value)))
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (depth >= DEPTH_MAX) return '[deep]'
  if (value instanceof Error) return redactError(value, depth)
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, SECRET_NAME.test(name) ? '***' : redact(item, depth + 1)]),
  )
}

/** The letters of a text, each as it is or percent-encoded. Proxies encode the percent sign of an encoding again. */
const encodable = (text: string) =>
  Array.from(text, (letter) => `(?:${letter}|%(?:25)*${letter.charCodeAt(0).toString(16)})`).join('')

/** An API key, whole or cut off. */
const KEY = new RegExp(`${encodable('cf_')}(?:${encodable('test')}|${encodable('live')})${encodable('_')}[\\w%]+`, 'gi')

/** A secret that signs webhooks, whole or cut off. */
const WEBHOOK_SECRET = /whsec_[\w+/=%-]+/gi

/** Replaces API keys and secrets of webhooks. A client may put them anywhere: into a path, a reference, a header. */
export function withoutKeys(text: string): string {
  // The two searches cost a tenth of the pattern's time, and most texts of a log have neither character.
  if (!text.includes('_') && !text.includes('%')) return text
  return text.replace(KEY, 'cf_***').replace(WEBHOOK_SECRET, 'whsec_***')
}

function withoutParameters(text: string): string {
  return text.includes('=') ? text.replace(SECRET_PARAMETER, '$1***') : text
}

// Word by word, in linear time: a client's text may be long, and one pattern for the whole text needs quadratic time.
function withoutPasswords(text: string): string {
  return text.includes('://') ? text.replace(/\S+/g, withoutPassword) : text
}

/** The password ends at the last @ of the word, because it may contain an unescaped @ or / itself. */
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
    message: redactedErrorMessage(error),
    ...(code === undefined ? {} : { code: redact(code, depth) }),
    ...(stack === undefined ? {} : { stack: redact(stack, depth) }),
    ...(cause === undefined ? {} : { cause: redact(cause, depth + 1) }),
  }
}

/** The error's message in one line, never empty and without passwords. */
export function redactedErrorMessage(error: unknown): string {
  return String(redact(errorMessage(error)))
}
