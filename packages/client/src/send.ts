import { ApiError, type CashflowError, NoAnswerError, type Problem } from './errors.ts'

const BACKOFF_BASE_MS = 200
const BACKOFF_MAX_MS = 5_000
/** Timers fire at once for a longer time. */
const TIMER_MAX_MS = 2 ** 31 - 1
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} /

export interface CallOptions {
  /** Maximum time of the whole call with its retries, in milliseconds. Default: the client's. */
  timeoutMs?: number | undefined
  /** Ends the call. It then throws the signal's reason, and the API may have done what it was asked for. */
  signal?: AbortSignal | undefined
}

/** A failed attempt that is repeated after `delayMs` milliseconds. */
export interface Retry {
  readonly error: CashflowError
  readonly attempt: number
  readonly delayMs: number
}

export interface Settings {
  readonly base: string
  readonly key: string | undefined
  readonly timeoutMs: number
  readonly attemptTimeoutMs: number
  readonly onRetry: ((retry: Retry) => void) | undefined
}

/** A request that may be sent twice, such as a GET or a POST with an idempotency key, unless it says otherwise. */
export interface ApiRequest<Value> {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly body?: string
  readonly idempotencyKey?: string
  /** True if it is not sent again once it may have been done. */
  readonly isOnce?: boolean
  /** Time that the answer may wait for the payment's end, in seconds. */
  readonly waitS?: number
  /** Reads the answer's body. @throws for a body that is not the API's */
  readonly read: (body: object) => Value
}

export interface Answer<Value> {
  readonly value: Value
  readonly headers: Headers
}

/**
 * Sends a request until it has an answer that a repetition would not change, at the latest until `timeoutMs` has passed.
 *
 * @throws CashflowError of the last attempt, or the reason of the caller's `signal`
 */
export async function send<Value>(
  settings: Settings,
  request: ApiRequest<Value>,
  options: CallOptions = {},
): Promise<Answer<Value>> {
  const { timeoutMs = settings.timeoutMs, signal } = options
  const deadline = performance.now() + timeoutMs
  let mayHaveHappened = false
  for (let attempt = 1; ; attempt++) {
    const leftMs = deadline - performance.now()
    const attemptMs = settings.attemptTimeoutMs + (request.waitS ?? 0) * 1_000
    const result = await sendOnce(settings, request, { timeoutMs: Math.min(leftMs, attemptMs), signal })
    if (!(result instanceof Error)) return result
    const delayMs = retryDelayMs(attempt, result.retryAfterMs)
    // A 429 is sent before anything is done.
    mayHaveHappened ||= result.retryable && result.status !== 429
    const isLast = !result.retryable || (request.isOnce && mayHaveHappened)
    if (isLast || performance.now() + delayMs >= deadline) {
      result.mayHaveHappened = mayHaveHappened
      result.idempotencyKey = request.idempotencyKey
      throw result
    }
    settings.onRetry?.({ error: result, attempt, delayMs })
    await pause(delayMs, signal)
  }
}

/** Returns an error that is expected of a network or an API. Throws only the reason of the caller's `signal`, and bugs. */
async function sendOnce<Value>(
  { base, key }: Settings,
  { method, path, body, idempotencyKey, waitS, read }: ApiRequest<Value>,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal | undefined },
): Promise<Answer<Value> | CashflowError> {
  signal?.throwIfAborted()
  const requestId = crypto.randomUUID()
  const headers = new Headers({ accept: 'application/json, application/problem+json', 'request-id': requestId })
  if (key !== undefined) headers.set('authorization', `Bearer ${key}`)
  if (body !== undefined) headers.set('content-type', 'application/json')
  if (idempotencyKey !== undefined) headers.set('idempotency-key', quoted(idempotencyKey))
  if (waitS !== undefined) headers.set('prefer', `wait=${waitS}`)
  const ending = new AbortController()
  const timer = setTimeout(
    () => ending.abort(new Error(`no answer within ${Math.ceil(timeoutMs)} ms`)),
    Math.max(0, timeoutMs),
  )
  const onAbort = () => ending.abort(signal?.reason)
  signal?.addEventListener('abort', onAbort)
  // Outside of `try`: a header that cannot be sent is the caller's mistake. A redirect would take the key elsewhere.
  const init = {
    method,
    headers,
    redirect: 'manual',
    signal: ending.signal,
    ...(body !== undefined && { body }),
  } as const
  const request = new Request(base + path, init)
  try {
    const response = await fetch(request)
    return readAnswer(response, await response.text(), { sentId: requestId, read })
  } catch (cause) {
    signal?.throwIfAborted()
    return new NoAnswerError(`${method} ${path.split('?')[0]}: ${reasonOf(cause)}`, {
      ...{ code: 'no-answer', retryable: true, requestId, cause },
    })
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}

function readAnswer<Value>(
  { ok, status, headers }: Response,
  text: string,
  { sentId, read }: { sentId: string; read: (body: object) => Value },
): Answer<Value> | CashflowError {
  const body = status === 204 ? {} : parsed(text)
  const requestId = headers.get('request-id') ?? sentId
  if (ok) {
    try {
      if (!isObject(body)) throw new TypeError('It is no JSON object.')
      return { value: read(body), headers }
    } catch (cause) {
      const facts = { code: 'unreadable-answer', retryable: true, requestId, status, cause }
      return new NoAnswerError(`The answer ${status} is not one of the API. ${reasonOf(cause)}`, facts)
    }
  }
  const problem = isProblem(body) ? body : undefined
  return new ApiError(problem?.detail ?? `HTTP ${status}, not in the API's own words`, {
    code: problem?.code ?? `http-${status}`,
    retryable: problem?.retryable ?? (status === 408 || status === 429 || status >= 500),
    retryAfterMs: readRetryAfter(headers.get('retry-after')),
    ...{ requestId, status, problem },
  })
}

/** What the server asks for, and then backoff with full jitter: clients that failed together do not return together. */
export function retryDelayMs(attempt: number, retryAfterMs = 0, random: () => number = Math.random): number {
  return retryAfterMs + random() * Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** (attempt - 1))
}

/** Reads seconds or a date (RFC 9110 §10.2.3), in milliseconds from now. */
export function readRetryAfter(text: string | null, nowMs: number = Date.now()): number | undefined {
  if (text === null) return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000
  return HTTP_DATE.test(text) ? Math.max(0, Date.parse(text) - nowMs) || 0 : undefined
}

/** Resolves after `ms` milliseconds. Throws the signal's reason as soon as it aborts. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted()
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, Math.min(ms, TIMER_MAX_MS))
    signal?.addEventListener('abort', done)
  })
  signal?.throwIfAborted()
}

/** A String of structured fields (RFC 9651 §4.1.6). */
function quoted(key: string): string {
  return `"${key.replaceAll(/["\\]/g, '\\$&')}"`
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isObject(body: unknown): body is Readonly<Record<string, unknown>> {
  return typeof body === 'object' && body !== null && !Array.isArray(body)
}

function isProblem(body: unknown): body is Problem {
  return isObject(body) && typeof body.code === 'string' && typeof body.retryable === 'boolean'
}

/** `fetch` says only "fetch failed". Its cause says why. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return (cause instanceof Error && (cause.message || cause.name)) || String(cause)
}
