/** A decimal as text, such as `100.50`. A JavaScript number would lose its zeros, and change when it is added up. */
export type Amount = string

export type Currency = 'USD' | 'ETB'
export type PaymentStatus = 'PENDING' | 'SUCCESS' | 'FAILED'
export type WaitingFor = 'queue' | 'provider' | 'worker' | 'retry' | 'pending' | 'operator'
export type EventType = 'payment.created' | 'payment.succeeded' | 'payment.failed' | 'payment.reference_changed'

/** A payment as it was created. `created_at` is a time of RFC 3339. */
export interface CreatedPayment {
  readonly id: string
  readonly amount: Amount
  /** The amount in the currency's smallest unit: 10050 is 100.50 USD. */
  readonly amount_minor: number
  readonly currency: Currency
  readonly reference: string
  readonly status: PaymentStatus
  readonly metadata?: Readonly<Record<string, string>>
  readonly created_at: string
}

/** A payment as it is. */
export interface Payment extends CreatedPayment {
  /** The provider's reason, or `canceled`, of a payment that is FAILED. */
  readonly failure_code?: string
  /** What a PENDING payment waits for. */
  readonly waiting_for?: WaitingFor
  /** When something happens to a PENDING payment, at the latest. */
  readonly next_action_at?: string
}

export interface NewPayment {
  /** Decimal text with no more decimals than the currency has. It is sent as it is. */
  readonly amount: Amount
  readonly currency: Currency
  /** The payment's name in your system. Each one makes one payment. */
  readonly reference: string
  readonly metadata?: Readonly<Record<string, string>>
}

export interface PaymentEvent {
  readonly id: string
  readonly type: EventType
  /** Counts the events of one payment from 1. */
  readonly sequence: number
  readonly previous_event_id: string | null
  /** The payment with the status that the event gave it. Null if it is gone. */
  readonly payment: Omit<CreatedPayment, 'metadata'> | null
  readonly failure_code: string | null
  readonly actor: 'api' | 'worker' | 'operator'
  readonly request_id: string | null
  readonly created_at: string
}

export interface PaymentPage {
  readonly data: readonly Payment[]
  readonly has_more: boolean
  readonly next_cursor: string | null
}

export interface EventPage {
  readonly data: readonly PaymentEvent[]
  readonly has_more: boolean
  /** The place after these events. Store it with what the events made you do. */
  readonly next_cursor: string
  /** Age of the first event that is stored and that no page shows yet, in milliseconds, or 0. Later pages do not count. */
  readonly delayed_ms: number
}

/** What `JSON.parse` makes of an answer's payment: it turns `100.50` into the number 100.5. */
type Parsed<P> = Omit<P, 'amount'> & { readonly amount: number }

// Readers of answers. Each throws for another JSON object, such as one of a proxy.

export function readPayment<P extends CreatedPayment>(body: object): P {
  const parsed = body as Parsed<P>
  if (typeof parsed.id !== 'string' || typeof parsed.status !== 'string') throw new TypeError('It is no payment.')
  return { ...parsed, amount: amountText(parsed) } as unknown as P
}

export function readPayments(body: object): PaymentPage {
  const page = body as Omit<PaymentPage, 'data'> & { data: object[] }
  if (page.next_cursor !== null && typeof page.next_cursor !== 'string')
    throw new TypeError('It is no page of payments.')
  return { ...page, data: page.data.map((payment) => readPayment<Payment>(payment)) }
}

export function readEvents(body: object): PaymentEvent[] {
  const { data } = body as { data: ParsedEvent[] }
  return data.map((event) => {
    if (typeof event.id !== 'string') throw new TypeError('It is no event.')
    return { ...event, payment: event.payment && readPayment<CreatedPayment>(event.payment) }
  })
}

export function readEventPage(body: object): EventPage {
  const page = body as EventPage
  if (typeof page.next_cursor !== 'string') throw new TypeError('It is no page of events.')
  return { ...page, data: readEvents(page) }
}

type ParsedEvent = Omit<PaymentEvent, 'payment'> & { readonly payment: object | null }

const DECIMALS_MAX = 6

/**
 * The exact amount as text. The currency's number of decimals is the one with which both members are the same number: an
 * amount has at most 15 digits, and a double holds 15 exactly. So a currency that the API adds needs no new client.
 */
export function amountText({ amount, amount_minor }: { amount: number; amount_minor: number }): Amount {
  for (let decimals = 0; decimals <= DECIMALS_MAX; decimals++) {
    const digits = String(amount_minor).padStart(decimals + 1, '0')
    const text = decimals === 0 ? digits : `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`
    if (Number(text) === amount) return text
  }
  throw new RangeError(`The amount ${amount} is not ${amount_minor} minor units.`)
}
