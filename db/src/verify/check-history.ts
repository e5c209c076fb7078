import { CREATED, chainOf, hashOf, isEnd, type Link, RENAMED } from './chain.ts'
import { checkRow } from './check-row.ts'
import { type Differ, type Finding, shortened, unreadable } from './finding.ts'
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

/**
 * Compares a payment with its events, and its events with their hashes. Data that cannot be walked, such as data of too many
 * levels, is a finding.
 *
 * @param isSealed true if every event must have its hash
 */
export function checkHistory(history: History, isSealed = false): CheckedHistory {
  try {
    return check(history, isSealed)
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const { id } = history
    return { id, findings: [unreadable(error, id)], isEndUnsealed: false, chain: [], head: undefined }
  }
}

function check({ id, payment, events, isCut }: History, isSealed: boolean): CheckedHistory {
  const findings: Finding[] = []
  const differ: Differ = (what, expected, found) => {
    if (expected !== found)
      findings.push({ paymentId: id, what, expected: shortened(expected), found: shortened(found) })
  }
  if (isCut) differ('events', 'two, and one for each changed reference', `over ${events.length}`)
  else if (!payment) differ('payment', 'a row', null)
  else if (events.length === 0) differ('events', CREATED, null)
  if (isCut || events.length === 0) return { id, findings, isEndUnsealed: false, chain: [], head: undefined }
  checkSequence(payment, events, differ)
  const chain = chainOf(id, events)
  if (payment) checkRow({ id, payment, events, chain }, differ)
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
function checkSequence(payment: VerifiedPayment | undefined, events: readonly VerifiedEvent[], differ: Differ): void {
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
    // If the first event differs from the others, they agree with the row.
    if (merchant_id !== payment?.merchant_id) differ(`merchant of event ${sequence}`, merchantId, merchant_id)
  }
}

/** True if a service of an earlier version, or `migrate`, may have written an event without a hash behind one with a hash. */
function isOfEarlierVersion({ type, actor, has_trace }: VerifiedEvent): boolean {
  if (type === RENAMED) return actor === 'migrate'
  return isEnd(type) && ['worker', 'api', 'operator'].includes(actor) && !has_trace
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
