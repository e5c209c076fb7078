import { CashflowError } from './errors.ts'
import {
  type CreatedPayment,
  type Currency,
  type NewPayment,
  type Payment,
  type PaymentEvent,
  type PaymentPage,
  type PaymentStatus,
  readEvents,
  readPayment,
  readPayments,
} from './payment.ts'
import { queryOf } from './query.ts'
import { type Answer, type CallOptions, pause, type Settings, send } from './send.ts'

const WAIT_MAX_S = 30
/** Pause after an answer that has not waited as it should, and time that an answer needs. */
const POLL_MS = 1_000
/** Pause between two answers when too little time is left to let the API wait. */
const LAST_POLL_MS = 500

export interface CreateOptions extends CallOptions {
  /** Your own key: 1 to 255 printable ASCII characters, another one for each payment. Default: a random one. */
  idempotencyKey?: string | undefined
}

export interface ListOptions extends CallOptions {
  reference?: string | undefined
  /** The key of the request that created the payment. */
  idempotency_key?: string | undefined
  status?: PaymentStatus | undefined
  currency?: Currency | undefined
  /** Payments created at this time or later. */
  created_from?: Date | string | undefined
  /** Payments created before this time. */
  created_to?: Date | string | undefined
  /** Payments of a page, 1 to 100. Default: 20. */
  limit?: number | undefined
  /** The `next_cursor` of a page with the same filters. */
  cursor?: string | undefined
}

/** The calls about payments. */
export function createPayments(settings: Settings) {
  /** One page of payments, newest first. */
  async function listPage({ timeoutMs, signal, ...query }: ListOptions = {}): Promise<PaymentPage> {
    const request = { method: 'GET', path: `/payments${queryOf(query)}`, read: readPayments } as const
    return (await send(settings, request, { timeoutMs, signal })).value
  }

  return {
    /**
     * Creates a payment. A lost answer makes no second one: each attempt has the same idempotency key.
     *
     * @returns the payment as it was created, also if the key was used before
     */
    async create(payment: NewPayment, { idempotencyKey = crypto.randomUUID(), ...options }: CreateOptions = {}) {
      // A number has lost digits before it is here: 0.1 + 0.2.
      if (typeof payment.amount !== 'string') throw new TypeError('amount is a string, such as "100.50"')
      const request = { method: 'POST', path: '/payments', body: JSON.stringify(payment), idempotencyKey } as const
      return (await send(settings, { ...request, read: readPayment<CreatedPayment> }, options)).value
    },

    /** The payment as it is. */
    async get(id: string, options?: CallOptions): Promise<Payment> {
      return (await send(settings, { method: 'GET', path: pathOf(id), read: readPayment<Payment> }, options)).value
    },

    /** Waits until the payment is settled or `timeoutMs` has passed, and returns it as it was seen last: perhaps PENDING. */
    async waitFor(id: string, options: CallOptions = {}): Promise<Payment> {
      const { timeoutMs = settings.timeoutMs, signal } = options
      const deadline = performance.now() + timeoutMs
      const leftMs = () => deadline - performance.now()
      for (let seen: Answer<Payment> | undefined; ; ) {
        // The answer needs some of the time that is left, and the API waits for whole seconds (RFC 7240 §4.3).
        const waitS = Math.max(0, Math.min(WAIT_MAX_S, Math.floor((leftMs() - POLL_MS) / 1_000)))
        const request = { method: 'GET', path: pathOf(id), waitS, read: readPayment<Payment> } as const
        seen = await send(settings, request, { timeoutMs: leftMs(), signal }).catch((error: unknown) => {
          // The last requests may find too little time for their answers.
          if (seen && waitS === 0 && error instanceof CashflowError && error.retryable) return seen
          throw error
        })
        if (seen.value.status !== 'PENDING' || leftMs() <= 0) return seen.value
        if (waitS === 0) await pause(Math.min(LAST_POLL_MS, leftMs()), signal)
        // The API is stopping, or too many requests wait there.
        else if (!seen.headers.has('preference-applied')) await pause(POLL_MS, signal)
        if (leftMs() <= 0) return seen.value
      }
    },

    /**
     * Ends a payment that no attempt may have charged. It may be repeated.
     *
     * @throws ApiError `not-cancelable` for any other payment
     */
    async cancel(id: string, options?: CallOptions): Promise<Payment> {
      const request = { method: 'POST', path: `${pathOf(id)}/cancel`, read: readPayment<Payment> } as const
      return (await send(settings, request, options)).value
    },

    /** All committed events of one payment, in the order of their `sequence`. */
    async events(id: string, options?: CallOptions): Promise<PaymentEvent[]> {
      return (await send(settings, { method: 'GET', path: `${pathOf(id)}/events`, read: readEvents }, options)).value
    },

    /** Payments, newest first, from as many pages as the loop asks for. `timeoutMs` is the time of one page. */
    async *list(options: ListOptions = {}): AsyncGenerator<Payment, void, undefined> {
      for (let cursor = options.cursor; ; ) {
        const page = await listPage({ ...options, cursor })
        yield* page.data
        if (page.next_cursor === null) return
        cursor = page.next_cursor
      }
    },

    listPage,
  }
}

function pathOf(id: string): string {
  // An empty id would be the list.
  if (id === '') throw new TypeError('the id of a payment is empty')
  return `/payments/${encodeURIComponent(id)}`
}
