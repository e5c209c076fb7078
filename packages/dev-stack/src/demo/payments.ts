import { defined } from '@cashflow/async'

/** A payment as the API shows it. */
export interface Payment {
  readonly id: string
  readonly reference: string
  readonly status: 'PENDING' | 'SUCCESS' | 'FAILED'
  readonly waiting_for?: string
  readonly next_action_at?: string
}

/** Payments that were created at the same time. */
export interface Batch {
  readonly ids: readonly string[]
  /** When the first POST was sent, by `performance.now()`. */
  readonly from: number
  /** Time until the last answer, in milliseconds. */
  readonly slowestMs: number
}

const ANSWER_MS = 10_000

/** Creates payments at the same time, and waits for their answers. @throws Error for an answer other than 201 */
export async function createBatch(
  api: string,
  { prefix, count }: { prefix: string; count: number },
  signal: AbortSignal,
): Promise<Batch> {
  const from = performance.now()
  const references = Array.from({ length: count }, (_, index) => `${prefix}${String(index + 1).padStart(2, '0')}`)
  const ids = await Promise.all(references.map((reference) => createPayment(api, reference, signal)))
  return { ids, from, slowestMs: performance.now() - from }
}

async function createPayment(api: string, reference: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(`${api}/api/v1/payments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ amount: '100.50', currency: 'USD', reference }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
  })
  const body = await response.text()
  if (response.status !== 201) throw new Error(`POST of ${reference} was answered with ${response.status}: ${body}`)
  return (JSON.parse(body) as Payment).id
}

/** Reads the payments of the newest batch, in their order. */
export async function readBatch(api: string, { ids }: Batch, signal: AbortSignal): Promise<Payment[]> {
  const response = await fetch(`${api}/api/v1/payments?limit=${ids.length}`, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
  })
  const { data } = (await response.json()) as { data?: Payment[] }
  if (!data) throw new Error(`GET of the payments was answered with ${response.status}`)
  const found = new Map(data.map((payment) => [payment.id, payment]))
  return ids.map((id) => defined(found.get(id), `payment ${id} among the newest`))
}
