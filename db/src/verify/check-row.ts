import { type Currency, EVENT_TYPES, formatMoney, isKnownCurrency, statusAfter } from '@cashflow/domain'
import { CREATED, dataOf, hashOf, isDate, isEnd, type Link, RENAMED } from './chain.ts'
import { type Differ, shortened } from './finding.ts'
import type { VerifiedEvent, VerifiedPayment } from './histories.ts'

/** Characters of each value of a finding that has two. */
const BOTH_MAX = 140

type Fact = string | Date | null

/** What the row and an event say, by the names of the facts. */
type Facts = Readonly<Record<string, readonly [row: Fact, event: Fact]>>

/** A payment with its events. */
export interface Compared {
  readonly id: string
  readonly payment: VerifiedPayment
  /** In the order of their sequence. */
  readonly events: readonly VerifiedEvent[]
  /** In the order in which they were written. */
  readonly chain: readonly Link[]
}

/**
 * Compares a payment's row with its events. Where they differ, the stored hashes tell which of them was changed: `amount`
 * names the row, `amount of event 1` the event. If the hashes do not tell, `amount of row and event 1` has both values.
 */
export function checkRow(compared: Compared, differ: Differ): void {
  const { payment, events } = compared
  const [created] = events
  if (!created) return
  const named = events.findLast(({ type }) => type === RENAMED) ?? created
  const end = events.find(({ type }) => isEnd(type)) ?? events.find(({ sequence }) => sequence === 2)
  const reference: Facts = { reference: [payment.reference, textOf(dataOf(named).reference)] }
  checkReferences(compared, differ)
  differFrom(compared, created, { ...factsOfCreation(payment, created), ...(named === created && reference) }, differ)
  if (named !== created) differFrom(compared, named, reference, differ)
  differFrom(compared, end, factsOfEnd(payment, end), differ)
  if (payment.stuck) differ(payment.stuck, 'a time at most a day ahead, because it is PENDING', 'none, or a later one')
  if (payment.has_letter === false) differ('dead letter', 'an open one, because the payment is parked', null)
}

function factsOfCreation(payment: VerifiedPayment, created: VerifiedEvent): Facts {
  const { amount, currency } = dataOf(created)
  return {
    merchant: [payment.merchant_id, created.merchant_id],
    amount: [amountOf(payment, amount), textOf(amount)],
    currency: [payment.currency, textOf(currency)],
    created_at: [payment.created_at, created.created_at],
  }
}

function factsOfEnd(payment: VerifiedPayment, end: VerifiedEvent | undefined): Facts {
  return {
    status: [payment.status, end ? (statusAfter(end.type) ?? null) : 'PENDING'],
    failure_code: [payment.failure_code, end ? textOf(dataOf(end).failure_code) : null],
    settled_at: [payment.settled_at, end?.created_at ?? null],
  }
}

/** @param event undefined if no event ends the payment */
function differFrom(compared: Compared, event: VerifiedEvent | undefined, facts: Facts, differ: Differ): void {
  const different = Object.entries(facts).filter(([, [row, other]]) => row?.valueOf() !== other?.valueOf())
  if (different.length === 0) return
  const place = event ? `event ${event.sequence}` : 'events'
  const unchanged = unchangedOf(compared, event)
  for (const [what, [row, other]] of different) {
    const [ofRow, ofEvent] = [shownOf(row), shownOf(other)]
    if (unchanged === 'event') differ(what, ofEvent, ofRow)
    else if (unchanged === 'row') differ(`${what} of ${place}`, ofRow, ofEvent)
    else differ(`${what} of row and ${place}`, 'the same', bothOf(ofRow, ofEvent))
  }
}

function bothOf(row: string | null, event: string | null): string {
  return `${shortened(row, BOTH_MAX) ?? 'nothing'} in the row, ${shortened(event, BOTH_MAX) ?? 'nothing'} in the history`
}

/** Which of the two a stored hash fits. Undefined if hashes fit both of them or neither. */
function unchangedOf(compared: Compared, event: VerifiedEvent | undefined): 'row' | 'event' | undefined {
  const { payment, chain } = compared
  if (!event) {
    const last = chain.at(-1)?.event
    return last && last.hash === payment.last_hash && isHashed(compared, last, last) ? 'event' : undefined
  }
  const isEventHashed = isHashed(compared, event, event)
  const isRowHashed = isHashed(compared, event, asRowSays(compared, event))
  if (isEventHashed === isRowHashed) return undefined
  return isRowHashed ? 'row' : 'event'
}

/** The event as it was, if the row is right and nothing else of the event was changed. */
function asRowSays({ payment, events }: Compared, event: VerifiedEvent): VerifiedEvent {
  const { failure_code: _, ...data } = dataOf(event)
  const { reference, currency, failure_code, status, settled_at } = payment
  if (event.type === RENAMED) return { ...event, data: { ...data, reference } }
  if (event === events[0]) {
    const isRenamed = events.some(({ type }) => type === RENAMED)
    const facts = { amount: amountOf(payment, data.amount), currency, ...(!isRenamed && { reference }) }
    return { ...event, merchant_id: payment.merchant_id, created_at: payment.created_at, data: { ...data, ...facts } }
  }
  return {
    ...event,
    type: EVENT_TYPES.find((type) => statusAfter(type) === status) ?? event.type,
    created_at: settled_at ?? event.created_at,
    data: failure_code === null ? data : { ...data, failure_code },
  }
}

/**
 * Returns true if a stored hash fits the history with `form` in the place of an event: the event's own hash, that of a later
 * event, or the row's.
 */
function isHashed({ id, payment, chain }: Compared, event: VerifiedEvent, form: VerifiedEvent): boolean {
  const index = chain.findIndex((link) => link.event === event)
  const before = chain[index - 1]
  // An earlier event may be changed too. Then its stored hash is the one that this event's hash covers.
  let previous = before?.event.hash ? Buffer.from(before.event.hash, 'hex') : before?.hash
  for (const link of chain.slice(index)) {
    previous = hashOf(id, previous, link.event === event ? form : link.event)
    if (previous.toString('hex') === link.event.hash) return true
  }
  return previous?.toString('hex') === payment.last_hash
}

/** Compares the reference before each change with that after the event before. */
function checkReferences(compared: Compared, differ: Differ): void {
  let before: VerifiedEvent | undefined
  for (const event of compared.events) {
    if (event.type !== RENAMED && event.type !== CREATED) continue
    const [reference, replaced] = [before && textOf(dataOf(before).reference), textOf(dataOf(event).reference_before)]
    if (event.type === RENAMED) {
      const isChangedBefore = before && !isHashed(compared, before, before) && isHashed(compared, event, event)
      if (isChangedBefore) differ(`reference of event ${before?.sequence}`, replaced, reference ?? null)
      else differ(`reference_before of event ${event.sequence}`, reference ?? null, replaced)
    }
    before = event
  }
}

/** The amount as the payment shows it. Of a currency that only a newer version knows, its digits are compared. */
function amountOf({ amount_minor, currency }: VerifiedPayment, expected: unknown): string {
  if (isKnownCurrency(currency))
    return formatMoney({ amountMinor: BigInt(amount_minor), currency: currency as Currency })
  const digits = typeof expected === 'string' ? expected.replace('.', '').replace(/^0+/, '') : ''
  return digits === amount_minor ? String(expected) : `${amount_minor} minor units`
}

function textOf(value: unknown): string | null {
  if (value === undefined || value === null) return null
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function shownOf(fact: Fact): string | null {
  if (fact === null || typeof fact === 'string') return fact
  return isDate(fact) ? fact.toISOString() : String(fact)
}
