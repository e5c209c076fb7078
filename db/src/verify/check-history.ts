import { type Currency, formatMoney, isKnownCurrency, statusAfter } from '@cashflow/domain'
import { eventHash } from '../events/hash.ts'
import { type Finding, shortened } from './finding.ts'
import type { History, VerifiedEvent, VerifiedPayment } from './histories.ts'

/** The last event of a payment: what an export keeps of its history. */
export interface Head {
  readonly id: string
  readonly sequence: number
  /** The hash that the event must have, over all events before it. */
  readonly hash: Buffer
  /** True if all events have stored hashes. */
  readonly isSealed: boolean
  /** See `VerifiedPayment`. */
  readonly details: string | null
}

export interface CheckedHistory {
  readonly id: string
  readonly findings: readonly Finding[]
  /** True if events have hashes and the last one has none, as a service of an earlier version writes it. */
  readonly isEndUnsealed: boolean
  /** In the order in which the events were written. */
  readonly chain: readonly Link[]
  /** Undefined without a payment or an event. */
  readonly head: Head | undefined
}

/** An event with the hash that it must have. */
export interface Link {
  readonly event: VerifiedEvent
  readonly hash: Buffer
}

const CREATED = 'payment.created'
const RENAMED = 'payment.reference_changed'

type Differ = (what: string, expected: string | null, found: string | null) => void

/**
 * Compares a payment with its events, and its events with their hashes.
 *
 * @param isSealed true if every event must have its hash
 */
export function checkHistory({ id, payment, events, isCut }: History, isSealed = false): CheckedHistory {
  const findings: Finding[] = []
  const differ: Differ = (what, expected, found) => {
    if (expected !== found)
      findings.push({ paymentId: id, what, expected: shortened(expected), found: shortened(found) })
  }
  if (isCut) differ('events', 'two, and one for each changed reference', `over ${events.length}`)
  else if (!payment) differ('payment', 'a row', null)
  else if (events.length === 0) differ('events', CREATED, null)
  if (isCut || events.length === 0) return { id, findings, isEndUnsealed: false, chain: [], head: undefined }
  checkSequence(events, differ)
  if (payment) checkRow(payment, events, differ)
  const chain = chainOf(id, events)
  const sealed = chain.findLastIndex(({ event }) => event.hash !== null)
  const behind = chain.slice(sealed + 1)
  const isEndUnsealed = sealed >= 0 && behind.length > 0
  const isChanged = isEndUnsealed && !behind.every(({ event }) => isOfEarlierVersion(event))
  checkHashes(id, isSealed || isChanged ? chain : chain.slice(0, sealed + 1), differ)
  if (!payment) return { id, findings, isEndUnsealed, chain, head: undefined }
  const hasAll = events.every(({ hash }) => hash !== null)
  // A service of an earlier version leaves it as it is.
  differ('last_hash', chain[sealed]?.event.hash ?? null, payment.last_hash)
  const end = chain.at(-1)
  const head = end && { id, sequence: end.event.sequence, hash: end.hash, isSealed: hasAll, details: payment.details }
  return { id, findings, isEndUnsealed, chain, head }
}

/** 1 is the creation, 2 the end, and each later one a change of the reference. */
function checkSequence(events: readonly VerifiedEvent[], differ: Differ): void {
  const hasEnd = events.some(({ sequence }) => sequence === 2)
  const isPending = !events.some(({ type }) => isEnd(type))
  const skipped = !hasEnd && isPending && events.length > 1 ? 1 : 0
  const expected = events.map((_, index) => index + 1 + (index > 0 ? skipped : 0))
  differ('sequences of the events', expected.join(', '), events.map(({ sequence }) => sequence).join(', '))
  const [{ merchant_id: merchantId } = { merchant_id: '' }] = events
  for (const { sequence, type, merchant_id } of events) {
    const what = `type of event ${sequence}`
    if (sequence === 1) differ(what, CREATED, type)
    else if (sequence === 2 && !isEnd(type)) differ(what, 'payment.succeeded or payment.failed', type)
    else if (sequence > 2) differ(what, RENAMED, type)
    differ(`merchant of event ${sequence}`, merchantId, merchant_id)
  }
}

function isEnd(type: string): boolean {
  return type !== CREATED && statusAfter(type) !== undefined
}

/** True if a service of an earlier version, or `migrate`, may have written an event without a hash behind one with a hash. */
function isOfEarlierVersion({ type, actor, has_trace }: VerifiedEvent): boolean {
  if (type === RENAMED) return actor === 'migrate'
  return isEnd(type) && ['worker', 'api', 'operator'].includes(actor) && !has_trace
}

function checkRow(payment: VerifiedPayment, events: readonly VerifiedEvent[], differ: Differ): void {
  const [created] = events
  if (!created) return
  const { amount, currency } = dataOf(created)
  const end = events.find(({ type }) => isEnd(type))
  differ('merchant', created.merchant_id, payment.merchant_id)
  differ('reference', referenceAfter(events, differ), payment.reference)
  differ('amount', textOf(amount), amountOf(payment, amount))
  differ('currency', textOf(currency), payment.currency)
  differTimes('created_at', created.created_at, payment.created_at, differ)
  differ('status', (end && statusAfter(end.type)) ?? 'PENDING', payment.status)
  differ('failure_code', end ? textOf(dataOf(end).failure_code) : null, payment.failure_code)
  differTimes('settled_at', end?.created_at ?? null, payment.settled_at, differ)
  if (payment.stuck) differ(payment.stuck, 'a time at most a day ahead, because it is PENDING', 'none, or a later one')
  if (payment.has_letter === false) differ('dead letter', 'an open one, because the payment is parked', null)
}

/** The reference after all changes. Each event of a change says which reference it has replaced. */
function referenceAfter(events: readonly VerifiedEvent[], differ: Differ): string | null {
  let reference: string | null = null
  for (const event of events) {
    const { reference: after, reference_before: before } = dataOf(event)
    if (event.type === RENAMED) differ(`reference_before of event ${event.sequence}`, reference, textOf(before))
    if (event.type === RENAMED || event.type === CREATED) reference = textOf(after)
  }
  return reference
}

/** The amount as the payment shows it. Of a currency that only a newer version knows, its digits are compared. */
function amountOf({ amount_minor, currency }: VerifiedPayment, expected: unknown): string {
  if (isKnownCurrency(currency))
    return formatMoney({ amountMinor: BigInt(amount_minor), currency: currency as Currency })
  const digits = typeof expected === 'string' ? expected.replace('.', '').replace(/^0+/, '') : ''
  return digits === amount_minor ? String(expected) : `${amount_minor} minor units`
}

/** Each event in the order in which they were written, with the hash that it must have after those before it. */
function chainOf(id: string, events: readonly VerifiedEvent[]): Link[] {
  let previous: Buffer | undefined
  // The reference of a PENDING payment may have changed: the event of its end is written later, with a lower sequence.
  return events
    .toSorted((one, other) => one.event_id - other.event_id)
    .map((event) => {
      previous = hashOf(id, previous, event)
      return { event, hash: previous }
    })
}

function checkHashes(id: string, chain: readonly Link[], differ: Differ): void {
  let previous: string | null = null
  for (const { event, hash } of chain) {
    const expected = hash.toString('hex')
    // An unchanged event behind a changed one has the right hash over the stored one before it.
    const isRight = event.hash === expected || (previous !== null && event.hash === hashAfter(id, previous, event))
    if (!isRight) differ(`hash of event ${event.sequence}`, expected, event.hash)
    previous = event.hash ?? expected
  }
}

function hashAfter(id: string, stored: string, event: VerifiedEvent): string {
  return hashOf(id, Buffer.from(stored, 'hex'), event).toString('hex')
}

function hashOf(paymentId: string, previous: Buffer | undefined, event: VerifiedEvent): Buffer {
  const { merchant_id: merchantId, sequence, type, data, actor, request_id: requestId, created_at } = event
  // A time without a date, such as infinity, has no ISO form. Only a change by hand stores one.
  const createdAt = isDate(created_at) ? created_at : new Date(0)
  return eventHash(previous, {
    ...{ paymentId, merchantId, sequence, type, actor, requestId, createdAt },
    data: data as Readonly<Record<string, unknown>>,
  })
}

/** The members of an event's data. What is no object has none. */
function dataOf({ data }: VerifiedEvent): Readonly<Record<string, unknown>> {
  return typeof data === 'object' && data !== null ? (data as Readonly<Record<string, unknown>>) : {}
}

function textOf(value: unknown): string | null {
  if (value === undefined || value === null) return null
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** Formats times only if they differ. */
function differTimes(what: string, expected: Date | null, found: Date | null, differ: Differ): void {
  if (expected?.valueOf() !== found?.valueOf()) differ(what, timeOf(expected), timeOf(found))
}

function timeOf(time: Date | null): string | null {
  return time && (isDate(time) ? time.toISOString() : String(time))
}

function isDate(time: Date): boolean {
  return time instanceof Date && !Number.isNaN(time.getTime())
}
