import { Problem } from '../problem.ts'

const CHALLENGE = 'Bearer realm="cashflow"'

/**
 * The answer to a request without a valid key. It does not tell why the key is not valid. Only the header tells a request
 * without a bearer token from one with a wrong token (RFC 6750 §3.1).
 */
export function unauthenticatedProblem({ hasToken }: { hasToken: boolean }): Problem {
  return new Problem('unauthenticated', 'Send Authorization: Bearer, followed by a valid API key.', {
    headers: { 'WWW-Authenticate': hasToken ? `${CHALLENGE}, error="invalid_token"` : CHALLENGE },
  })
}

/** The answer to a request whose key lacks a scope (RFC 6750 §3.1). */
export function forbiddenProblem(scope: string): Problem {
  return new Problem('forbidden', `The API key lacks the scope ${scope}.`, {
    headers: { 'WWW-Authenticate': `${CHALLENGE}, error="insufficient_scope", scope="${scope}"` },
  })
}

const RETRY_AFTER_S = '1'

/** The answer to a wrong key of an address that has sent too many. The key was looked up, so it is as final as a 401. */
export function tooManyWrongKeysProblem(): Problem {
  return new Problem(
    'too-many-wrong-keys',
    'The API key is not valid, and too many requests with such keys came from this address. Send a valid API key.',
    { headers: { 'Retry-After': RETRY_AFTER_S } },
  )
}

/** The answer to a key whose row PostgreSQL cannot read. */
export function unreadableKeyProblem(): Problem {
  return new Problem('unavailable', 'The API key cannot be read now. Send the same request again. Nothing is stored.', {
    headers: { 'Retry-After': RETRY_AFTER_S },
  })
}

/** The answer to a key that is looked up for the first time, while too many others are. */
export function overloadedProblem(): Problem {
  return new Problem('overloaded', 'Too many API keys wait to be looked up. Send the same request again.', {
    headers: { 'Retry-After': RETRY_AFTER_S },
  })
}
