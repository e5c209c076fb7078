import type { Answer, PaymentRequest, ShownPayment, View } from './payment-request.ts'

const ANSWER_MS = 10_000

export async function post(apiUrl: string, { reference, amountMinor, currency }: PaymentRequest): Promise<Answer> {
  const response = await ask(`${apiUrl}/api/v1/payments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ amount: (amountMinor / 100).toFixed(2), currency, reference }),
  })
  const at = Date.now()
  if (!response) return { at, status: 'none' }
  const { status, body } = response
  const paymentId = status === 201 ? body.id : status === 409 ? body.payment_id : undefined
  return { at, status, ...(typeof paymentId === 'string' && { paymentId }) }
}

export async function get(apiUrl: string, id: string, { isFinal }: { isFinal: boolean }): Promise<View> {
  const at = now()
  const response = await ask(`${apiUrl}/api/v1/payments/${id}`)
  const view = { at, answeredAt: now(), status: response?.status ?? 'none', isFinal } as const
  return response?.status === 200 ? { ...view, payment: response.body as unknown as ShownPayment } : view
}

export function showsState({ status }: View): boolean {
  return status !== 'none' && status !== 503
}

/** Milliseconds since 1970, finer than one and monotonic: it decides which of two views is older. */
function now(): number {
  return performance.timeOrigin + performance.now()
}

/** Sends a request. Returns undefined without a complete answer. A body that is not JSON counts as an empty object. */
async function ask(url: string, init: RequestInit = {}) {
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(ANSWER_MS) })
    return { status: response.status, body: objectIn(await response.text()) }
  } catch {
    return undefined
  }
}

function objectIn(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text))
  } catch {
    return {}
  }
}
