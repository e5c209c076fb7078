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
  /** For the API's document: the `detail` of such an answer. */
  readonly exampleDetail: string
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
    exampleDetail: 'The path has a percent sign without two hex digits.',
    when: 'The request is broken HTTP, its path cannot be decoded, or its `Idempotency-Key` is not one key.',
    remedy: 'Correct the request.',
  },
  'validation-error': {
    type: 'urn:problem-type:cashflow:validation-error',
    title: 'The request is not valid',
    status: 400,
    retryable: false,
    exampleDetail: '#/amount is required; #/currency is required; #/reference is required.',
    when: 'The body is no JSON object, or not a payment. Or a parameter of the query is unknown, repeated or not valid. `errors` names the first 20 wrong members or parameters. Instead of a name of more than 64 characters it has the object that contains it, such as `#`.',
    remedy: 'Correct what `errors` names.',
  },
  'invalid-cursor': {
    type: 'urn:problem-type:cashflow:invalid-cursor',
    title: 'The cursor is not valid',
    status: 400,
    retryable: false,
    exampleDetail:
      'The cursor is not one that this list gave for the same filters. Send the filters unchanged with each cursor, or begin without one.',
    when: 'The cursor is altered, or belongs to another list, to other filters or to another merchant.',
    remedy: 'Send the filters of the list unchanged with its cursors, or begin without a cursor.',
  },
  unauthenticated: {
    type: 'urn:problem-type:cashflow:unauthenticated',
    title: 'No valid API key',
    status: 401,
    retryable: false,
    headers: ['WWW-Authenticate'],
    exampleDetail: 'Send Authorization: Bearer, followed by a valid API key.',
    when: 'The request has no API key, or one that is malformed, unknown, expired or revoked. The answer does not tell which.',
    remedy: 'Send `Authorization: Bearer` with a valid key.',
  },
  forbidden: {
    type: 'urn:problem-type:cashflow:forbidden',
    title: 'The API key does not allow this',
    status: 403,
    retryable: false,
    headers: ['WWW-Authenticate'],
    exampleDetail: 'The API key lacks the scope payments:read.',
    when: 'The API key lacks the scope that `detail` names.',
    remedy: 'Use a key with this scope.',
  },
  'not-found': {
    type: 'urn:problem-type:cashflow:not-found',
    title: 'Not found',
    status: 404,
    retryable: false,
    exampleDetail: 'No payment has this id.',
    when: 'There is no such route, or no payment with this id: there was none, or it is [pruned](operations.md#pruning).',
    remedy: 'Correct the path.',
  },
  'method-not-allowed': {
    type: 'urn:problem-type:cashflow:method-not-allowed',
    title: 'Method not allowed',
    status: 405,
    retryable: false,
    headers: ['Allow'],
    exampleDetail: 'Use one of GET, HEAD, POST, OPTIONS.',
    when: 'The route does not have this method.',
    remedy: 'Use a method that `Allow` lists.',
  },
  'request-timeout': {
    type: 'urn:problem-type:cashflow:request-timeout',
    title: 'Request timeout',
    status: 408,
    retryable: true,
    headers: ['Connection'],
    exampleDetail: 'The headers did not arrive in time.',
    when: 'Headers or body took more than 10 seconds. The API closes the connection.',
    remedy: 'Send the request again on a new connection.',
  },
  'duplicate-reference': {
    type: 'urn:problem-type:cashflow:duplicate-reference',
    title: 'The reference is taken',
    status: 409,
    retryable: false,
    exampleDetail: 'A payment with this reference exists; payment_id names it.',
    when: 'A payment with this reference, amount, currency and metadata is stored, under another `Idempotency-Key` or without one. `payment_id` names it.',
    remedy: 'Nothing, if it is a repetition. Else use another reference.',
  },
  'reference-mismatch': {
    type: 'urn:problem-type:cashflow:reference-mismatch',
    title: 'The reference is taken by a different payment',
    status: 409,
    retryable: false,
    exampleDetail: 'The payment that has this reference differs in amount; payment_id names it.',
    when: 'The payment with this reference, `payment_id`, has another amount, currency or metadata. `mismatch` lists the names of the members that differ. Amounts are compared as numbers.',
    remedy: 'Correct the members, or use another reference. This payment is not stored.',
  },
  'not-cancelable': {
    type: 'urn:problem-type:cashflow:not-cancelable',
    title: 'The payment cannot be canceled',
    status: 409,
    retryable: false,
    exampleDetail: 'The provider may have been asked for the payment.',
    when: 'The payment is settled, or the provider may have been asked for it. `payment_status` tells which, and `waiting_for` what it waits for while it is PENDING.',
    remedy: 'Wait until it is settled. Refund it if it is a SUCCESS.',
  },
  'not-advanceable': {
    type: 'urn:problem-type:cashflow:not-advanceable',
    title: 'The payment cannot be advanced',
    status: 409,
    retryable: true,
    headers: ['Retry-After'],
    exampleDetail: 'The payment waits for an operator, and nothing is scheduled for it.',
    when: 'In a sandbox: a worker has the payment, and `next_action_at` says when its lease ends. Or the payment waits for an operator.',
    remedy: 'Send the same request again after `Retry-After` seconds, or wait for the worker.',
  },
  'payload-too-large': {
    type: 'urn:problem-type:cashflow:payload-too-large',
    title: 'The request body is too large',
    status: 413,
    retryable: false,
    exampleDetail: 'A body has at most 327680 bytes.',
    when: 'The body has more than 327,680 bytes.',
    remedy: 'Send a smaller body.',
  },
  'unsupported-media-type': {
    type: 'urn:problem-type:cashflow:unsupported-media-type',
    title: 'Unsupported media type',
    status: 415,
    retryable: false,
    exampleDetail: 'Send Content-Type: application/json, in UTF-8.',
    when: 'The body is compressed, or `Content-Type` is longer than 255 characters or not `application/json` in UTF-8.',
    remedy: 'Send uncompressed JSON with `Content-Type: application/json`.',
  },
  'idempotency-mismatch': {
    type: 'urn:problem-type:cashflow:idempotency-mismatch',
    title: 'The idempotency key belongs to a different payment',
    status: 422,
    retryable: false,
    exampleDetail: 'The payment of this Idempotency-Key differs in reference; payment_id names it.',
    when: 'The payment that was created with this `Idempotency-Key`, `payment_id`, has another amount, currency, reference or metadata. `mismatch` lists the names of the members that differ.',
    remedy: 'Use another key for another payment. This payment is not stored.',
  },
  'quota-exceeded': {
    type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
    title: 'Request cannot be satisfied as assigned quota has been exceeded',
    status: 429,
    retryable: true,
    headers: ['Retry-After'],
    exampleDetail: 'Over 100 requests a second with one address. Send the same request again, and fewer at once.',
    when: 'The API key, or without authentication the client’s address, has sent more than `RATE_LIMIT` requests a second. `violated-policies` is `["key"]` or `["address"]`. Nothing is stored.',
    remedy: 'Send the same request again after `Retry-After` seconds, and [send at an even pace](#rate-limits).',
  },
  'too-many-wrong-keys': {
    type: 'urn:problem-type:cashflow:too-many-wrong-keys',
    title: 'Too many API keys that are not valid',
    status: 429,
    retryable: false,
    headers: ['Retry-After'],
    exampleDetail:
      'The API key is not valid, and too many requests with such keys came from this address. Send a valid API key.',
    when: 'The API key is unknown, expired or revoked, and more than 10 requests with such keys came from this address within a second.',
    remedy: 'Send a valid key. The same key gets 401 after `Retry-After` seconds.',
  },
  'headers-too-large': {
    type: 'urn:problem-type:cashflow:headers-too-large',
    title: 'The request headers are too large',
    status: 431,
    retryable: false,
    headers: ['Connection'],
    exampleDetail: 'The headers are larger than 16 kB.',
    when: 'The headers have more than 16 kB. The API closes the connection.',
    remedy: 'Send fewer or shorter headers.',
  },
  internal: {
    type: 'urn:problem-type:cashflow:internal',
    title: 'Internal error',
    status: 500,
    retryable: true,
    exampleDetail: 'The request could not be handled. The log has the error under the request_id.',
    when: 'There is a bug or a damaged row. The log has the error under the `request_id`.',
    remedy: 'Tell the operator the `request_id`. Repeating the request is safe, and works once the cause is repaired.',
  },
  overloaded: {
    type: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
    title: 'Temporary reduced capacity',
    status: 503,
    retryable: true,
    headers: ['Retry-After'],
    exampleDetail: 'Too many requests wait for the database. Send the same request again.',
    when: '`API_QUEUE_MAX` requests already wait to write, to read, for lists or to cancel, or a tenth as many of one merchant for lists or to cancel. Or this request has waited for 2.5 seconds. Or its body has more than 16 kB, and 100 such bodies began to arrive later. Or its API key is new to this process, and too many such keys wait to be looked up.',
    remedy: 'Send the same request again after `Retry-After` seconds.',
  },
  unavailable: {
    type: 'urn:problem-type:cashflow:unavailable',
    title: 'Temporarily unavailable',
    status: 503,
    retryable: true,
    headers: ['Retry-After'],
    exampleDetail:
      'The database does not answer. Send the same request again. If the payment was stored after all, the answer names it.',
    when: 'PostgreSQL does not answer, or cannot read the row of the API key.',
    remedy:
      'Send the same request again after `Retry-After` seconds. If its payment was stored after all, the answer names it.',
  },
} as const satisfies Record<string, ProblemType>

export type ProblemCode = keyof typeof PROBLEMS
