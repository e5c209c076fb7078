import { defined, eventually, pause } from '@cashflow/async'
import { CashflowError } from '@cashflow/client'
import { call } from './client-call.ts'
import { keysOf, type Merchant } from './merchants.ts'
import { ask, get, isAnswer, objectIn, post } from './payment-api.ts'
import { type Answer, idOf, type PaymentRequest, type ShownPayment, type View } from './payment-request.ts'

/** Time after which the final requests give up an API that does not answer. */
export const PATIENCE_MS = 60_000
const AT_ONCE = 16
const RETRY_MS = 500
const PAGE_MAX = 100

/**
 * Reads each payment through each API, with the keys of its merchant and of another one, and repeats each request that has
 * an idempotency key, after the system has settled. A missing answer, or a 503, is retried for `patienceMs` milliseconds,
 * and is then recorded as the answer.
 */
export async function askAll(
  paymentRequests: readonly PaymentRequest[],
  options: { apiUrls: readonly string[]; merchants: readonly Merchant[]; patienceMs: number },
): Promise<void> {
  const { apiUrls, merchants, patienceMs } = options
  const unresponsive = new Set<string>()

  async function insist<Got extends Answer | View>(apiUrl: string, got: Got[], send: () => Promise<Got>) {
    const giveUpAt = performance.now() + patienceMs
    // An API that does not answer costs `patienceMs` once, not once for each payment.
    while (!unresponsive.has(apiUrl)) {
      const answer = await send()
      const isLate = performance.now() >= giveUpAt
      if (isAnswer(answer) || isLate) got.push(answer)
      if (isAnswer(answer)) return
      if (isLate) unresponsive.add(apiUrl)
      else await pause(RETRY_MS)
    }
  }

  async function askAbout(request: PaymentRequest, id: string): Promise<void> {
    const { own, foreign } = keysOf(merchants, request)
    for (const apiUrl of apiUrls) {
      await insist(apiUrl, request.views, () => get(apiUrl, id, own, { isFinal: true }))
      if (foreign) await insist(apiUrl, request.foreignViews, () => get(apiUrl, id, foreign, { isFinal: true }))
      if (request.idempotencyKey !== undefined) await insist(apiUrl, request.answers, () => post(apiUrl, request, own))
    }
  }

  const remaining = paymentRequests.values()
  const askRemaining = async () => {
    // All loops share the iterator, so each payment is asked about by one of them.
    for (const request of remaining) {
      const id = idOf(request)
      if (id !== undefined) await askAbout(request, id)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, askRemaining))
}

/** All payments of a merchant, as one API lists them. */
export interface FinalList {
  readonly merchantId: string
  readonly payments: readonly ShownPayment[]
  /** False if a page was not answered. */
  readonly isWhole: boolean
  /** The status of each answer without a page. */
  readonly failures: readonly Answer['status'][]
}

/** Lists all payments of each merchant, page by page through each API, after the system has settled. */
export async function listAll(options: {
  apiUrls: readonly string[]
  merchants: readonly Merchant[]
  patienceMs?: number
}): Promise<FinalList[]> {
  const { apiUrls, merchants, patienceMs: timeoutMs = PATIENCE_MS } = options
  const lists: FinalList[] = []
  for (const apiUrl of apiUrls)
    for (const { id: merchantId, key } of merchants) {
      const payments: ShownPayment[] = []
      const failures: Answer['status'][] = []
      const end = await call(
        { apiUrl, key },
        async (client) => {
          for await (const payment of client.payments.list({ limit: PAGE_MAX, timeoutMs })) payments.push(payment)
        },
        (status) => failures.push(status),
      )
      lists.push({ merchantId, payments, isWhole: !(end instanceof CashflowError), failures })
    }
  return lists
}

/** Reads all events of each merchant through one API. Returns them by their ids, as the API shows them. */
export async function readEvents(options: {
  apiUrls: readonly string[]
  merchants: readonly Merchant[]
  patienceMs?: number
}): Promise<Map<string, Record<string, unknown>>> {
  const { apiUrls, merchants, patienceMs: timeoutMs = PATIENCE_MS } = options
  const events = new Map<string, Record<string, unknown>>()
  for (const { key } of merchants) {
    let query = `limit=${PAGE_MAX}`
    for (let hasMore = true; hasMore; ) {
      const page = await eventually(
        async () => {
          const answer = await ask(`${defined(apiUrls[0], 'API')}/api/v1/events?${query}`, key)
          if (answer?.status !== 200) throw new Error(`GET /events was answered with ${answer?.status}`)
          return objectIn(answer.text) as unknown as EventPage
        },
        { timeoutMs, intervalMs: RETRY_MS },
      )
      for (const event of page.data) events.set(event.id, event)
      query = `limit=${PAGE_MAX}&after=${encodeURIComponent(page.next_cursor)}`
      hasMore = page.has_more || page.delayed_ms > 0
    }
  }
  return events
}

interface EventPage {
  readonly data: readonly ({ readonly id: string } & Record<string, unknown>)[]
  readonly has_more: boolean
  readonly next_cursor: string
  readonly delayed_ms: number
}
