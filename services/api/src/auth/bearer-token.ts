import type { IncomingMessage } from 'node:http'

const SCHEME = /^bearer(?: +|$)/i

/**
 * Returns the bearer token of a request (RFC 6750 §2.1). The scheme's name is case-insensitive. Two `Authorization` headers
 * have no valid token: a proxy may have checked one, and this process the other.
 *
 * @returns undefined without credentials, or with those of another scheme; an empty text if they are malformed
 */
export function bearerToken({ headers, rawHeaders }: IncomingMessage): string | undefined {
  const { authorization } = headers
  if (authorization === undefined) return undefined
  if (countAuthorizations(rawHeaders) > 1) return ''
  const scheme = SCHEME.exec(authorization)?.[0]
  return scheme === undefined ? undefined : authorization.slice(scheme.length)
}

// Node keeps the first of several `Authorization` headers, and discards the others.
function countAuthorizations(rawHeaders: readonly string[]): number {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    if (name.length === 'authorization'.length && name.toLowerCase() === 'authorization') count += 1
  }
  return count
}
