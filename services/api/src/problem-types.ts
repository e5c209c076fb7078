interface ProblemType {
  /** A URI. Problems without a registered type have `urn:problem-type:cashflow:` and their code. */
  readonly type: string
  readonly title: string
  readonly status: number
  /**
   * True if the same request, sent again, may be accepted. Until then it is unknown whether its payment is stored.
   * False is final: the request stored nothing, and stores nothing if it is repeated.
   */
  readonly retryable: boolean
  /** Headers that every answer with this problem has. */
  readonly headers?: readonly string[]
  /** For docs/problems.md, in Markdown: when the API answers with it. */
  readonly when: string
  /** For docs/problems.md, in Markdown: what the client does. */
  readonly remedy: string
}

/**
 * Every problem that the API answers with (RFC 9457). Clients rely on `code` and `type`, so neither ever changes.
 * docs/problems.md is generated from it: `node services/api/test/problem-rows.ts`.
 */
export const PROBLEMS = {
  'bad-request': {
    type: 'urn:problem-type:cashflow:bad-request',
    title: 'Bad request',
    status: 400,
    retryable: false,
    when: 'The request is broken HTTP, its path cannot be decoded, or its `Idempotency-Key` is not one key.',
    remedy: 'Correct the request.',
  },
  'validation-error': {
    type: 'urn:problem-type:cashflow:validation-error',
    title: 'The request is not valid',
    status: 400,
    retryable: false,
    when: 'The body is no JSON object, or not a payment. Or a parameter of the query is unknown, repeated or not valid. `errors` names the first 20 wrong members or parameters. Instead of a name of more than 64 characters it has the object that contains it, such as `#`.',
    remedy: 'Correct what `errors` names.',
  },
  'invalid-cursor': {
    type: 'urn:problem-type:cashflow:invalid-cursor',
    title: 'The cursor is not valid',
    status: 400,
    retryable: false,
    when: 'The cursor is altered, or belongs to another list, to other filters or to another merchant.',
    remedy: 'Send the filters of the list unchanged with its cursors, or begin without a cursor.',
  },
  unauthenticated: {
    type: 'urn:problem-type:cashflow:unauthenticated',
    title: 'No valid API key',
    status: 401,
    retryable: false,
    headers: ['WWW-Authenticate'],
    when: 'The request has no API key, or one that is malformed, unknown, expired or revoked. The answer does not tell which.',
    remedy: 'Send `Authorization: Bearer` with a valid key.',
  },
  forbidden: {
    type: 'urn:problem-type:cashflow:forbidden',
    title: 'The API key does not allow this',
    status: 403,
    retryable: false,
    headers: ['WWW-Authenticate'],
    when: 'The API key lacks the scope that `detail` names.',
    remedy: 'Use a key with this scope.',
  },
  'not-found': {
    type: 'urn:problem-type:cashflow:not-found',
    title: 'Not found',
    status: 404,
    retryable: false,
    when: 'There is no such route, or no payment with this id: there was none, or it is [pruned](operations.md#pruning).',
    remedy: 'Correct the path.',
  },
  'method-not-allowed': {
    type: 'urn:problem-type:cashflow:method-not-allowed',
    title: 'Method not allowed',
    status: 405,
    retryable: false,
    headers: ['Allow'],
    when: 'The route does not have this method.',
    remedy: 'Use a method that `Allow` lists.',
  },
  'request-timeout': {
    type: 'urn:problem-type:cashflow:request-timeout',
    title: 'Request timeout',
    status: 408,
    retryable: true,
    headers: ['Connection'],
    when: 'Headers or body took more than 10 seconds. The API closes the connection.',
    remedy: 'Send the request again on a new connection.',
  },
  'duplicate-reference': {
    type: 'urn:problem-type:cashflow:duplicate-reference',
    title: 'The reference is taken',
    status: 409,
    retryable: false,
    when: 'A payment with this reference, amount, currency and metadata is stored, under another `Idempotency-Key` or without one. `payment_id` names it.',
    remedy: 'Nothing, if it is a repetition. Else use another reference.',
  },
  'reference-mismatch': {
    type: 'urn:problem-type:cashflow:reference-mismatch',
    title: 'The reference is taken by a different payment',
    status: 409,
    retryable: false,
    when: 'The payment with this reference, `payment_id`, has another amount, currency or metadata. `mismatch` lists the names of the members that differ. Amounts are compared as numbers.',
    remedy: 'Correct the members, or use another reference. This payment is not stored.',
  },
  'not-cancelable': {
    type: 'urn:problem-type:cashflow:not-cancelable',
    title: 'The payment cannot be canceled',
    status: 409,
    retryable: false,
    when: 'The payment is settled, or the provider may have been asked for it. `payment_status` tells which, and `waiting_for` what it waits for while it is PENDING.',
    remedy: 'Wait until it is settled. Refund it if it is a SUCCESS.',
  },
  'not-advanceable': {
    type: 'urn:problem-type:cashflow:not-advanceable',
    title: 'The payment cannot be advanced',
    status: 409,
    retryable: true,
    headers: ['Retry-After'],
    when: 'In a sandbox: a worker has the payment, and `next_action_at` says when its lease ends. Or the payment waits for an operator.',
    remedy: 'Send the same request again after `Retry-After` seconds, or wait for the worker.',
  },
  'payload-too-large': {
    type: 'urn:problem-type:cashflow:payload-too-large',
    title: 'The request body is too large',
    status: 413,
    retryable: false,
    when: 'The body has more than 327,680 bytes.',
    remedy: 'Send a smaller body.',
  },
  'unsupported-media-type': {
    type: 'urn:problem-type:cashflow:unsupported-media-type',
    title: 'Unsupported media type',
    status: 415,
    retryable: false,
    when: 'The body is compressed, or `Content-Type` is longer than 255 characters or not `application/json` in UTF-8.',
    remedy: 'Send uncompressed JSON with `Content-Type: application/json`.',
  },
  'idempotency-mismatch': {
    type: 'urn:problem-type:cashflow:idempotency-mismatch',
    title: 'The idempotency key belongs to a different payment',
    status: 422,
    retryable: false,
    when: 'The payment that was created with this `Idempotency-Key`, `payment_id`, has another amount, currency, reference or metadata. `mismatch` lists the names of the members that differ.',
    remedy: 'Use another key for another payment. This payment is not stored.',
  },
  'quota-exceeded': {
    type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
    title: 'Request cannot be satisfied as assigned quota has been exceeded',
    status: 429,
    retryable: true,
    headers: ['Retry-After'],
    when: 'The API key, or without authentication the client’s address, has sent more than `RATE_LIMIT` requests a second. `violated-policies` is `["key"]` or `["address"]`. Or more than 10 requests with wrong API keys came from this address within a second. Nothing is stored.',
    remedy: 'Send the same request again after `Retry-After` seconds, and [send at an even pace](#rate-limits).',
  },
  'headers-too-large': {
    type: 'urn:problem-type:cashflow:headers-too-large',
    title: 'The request headers are too large',
    status: 431,
    retryable: false,
    headers: ['Connection'],
    when: 'The headers have more than 16 kB. The API closes the connection.',
    remedy: 'Send fewer or shorter headers.',
  },
  internal: {
    type: 'urn:problem-type:cashflow:internal',
    title: 'Internal error',
    status: 500,
    retryable: true,
    when: 'There is a bug or a damaged row. The log has the error under the `request_id`.',
    remedy: 'Tell the operator the `request_id`. Repeating the request is safe, and works once the cause is repaired.',
  },
  overloaded: {
    type: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
    title: 'Temporary reduced capacity',
    status: 503,
    retryable: true,
    headers: ['Retry-After'],
    when: '`API_QUEUE_MAX` requests already wait to write, to read or for lists, or a tenth as many of one merchant for lists. Or this request has waited for 2.5 seconds. Or its body has more than 16 kB, and 100 such bodies began to arrive later. Or its API key is new to this process, and too many such keys wait to be looked up.',
    remedy: 'Send the same request again after `Retry-After` seconds.',
  },
  unavailable: {
    type: 'urn:problem-type:cashflow:unavailable',
    title: 'Temporarily unavailable',
    status: 503,
    retryable: true,
    headers: ['Retry-After'],
    when: 'PostgreSQL does not answer, or cannot read the row of the API key.',
    remedy:
      'Send the same request again after `Retry-After` seconds. If its payment was stored after all, the answer names it.',
  },
} as const satisfies Record<string, ProblemType>

export type ProblemCode = keyof typeof PROBLEMS
