import type { Key } from './merchants.ts'
import type { Answer, PaymentRequest, ShownPayment, View } from './payment-request.ts'

const ANSWER_MS = 10_000

export async function post(apiUrl: string, request: PaymentRequest, key: Key): Promise<Answer> {
  const { reference, amountMinor, currency, metadata } = request
  const idempotency = idempotencyHeader(request)
  const response = await ask(`${apiUrl}/api/v1/payments`, key, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(idempotency !== undefined && { 'idempotency-key': idempotency }),
    },
    body: JSON.stringify({ amount: (amountMinor / 100).toFixed(2), currency, reference, metadata }),
  })
  const at = Date.now()
  if (!response) return { at, status: 'none' }
  const { status, headers, text } = response
  const body = objectIn(text)
  const paymentId = status === 201 ? body.id : status === 409 ? body.payment_id : undefined
  return {
    at,
    status,
    ...(typeof paymentId === 'string' && { paymentId }),
    ...(status === 201 && { body: text, isReplay: headers.get('idempotent-replayed') === 'true' }),
  }
}

/** Both forms are one key. A repeated request has the other form than the one before. */
function idempotencyHeader({ idempotencyKey, amountMinor, answers }: PaymentRequest): string | undefined {
  if (idempotencyKey === undefined) return undefined
  return (amountMinor + answers.length) % 2 === 0 ? idempotencyKey : `"${idempotencyKey}"`
}

export async function get(apiUrl: string, id: string, key: Key, { isFinal }: { isFinal: boolean }): Promise<View> {
  const at = now()
  const response = await ask(`${apiUrl}/api/v1/payments/${id}`, key)
  const view = { at, answeredAt: now(), status: response?.status ?? 'none', isFinal } as const
  return response?.status === 200 ? { ...view, payment: objectIn(response.text) as unknown as ShownPayment } : view
}

/** True for an answer that tells something about a payment. */
export function isAnswer({ status }: Pick<Answer, 'status'>): boolean {
  return status !== 'none' && status !== 503
}

/** Milliseconds since 1970, finer than one and monotonic: it decides which of two views is older. */
export function now(): number {
  return performance.timeOrigin + performance.now()
}

/** An API that was frozen while a request came. It has done nothing. */
const TIMED_OUT = 408

/** Sends a request. Returns undefined without a complete answer, and for one that tells to send the request again. */
export async function ask(url: string, { secret, uses }: Key, init: RequestInit = {}) {
  const sentAt = Date.now()
  const headers = { ...init.headers, authorization: `Bearer ${secret}` }
  const response = await fetch(url, { ...init, headers, signal: AbortSignal.timeout(ANSWER_MS) })
    .then(async (got) => ({ status: got.status, headers: got.headers, text: await got.text() }))
    .then((answer) => (answer.status === TIMED_OUT ? undefined : answer))
    .catch(() => undefined)
  uses.push({ sentAt, answeredAt: Date.now(), status: response?.status ?? 'none' })
  return response
}

/** A body that is not JSON counts as an empty object. */
export function objectIn(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text))
  } catch {
    return {}
  }
}
