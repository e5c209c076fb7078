import { statusAfter } from '@cashflow/domain'
import { eventHash } from '../events/hash.ts'
import type { VerifiedEvent } from './histories.ts'

export const CREATED = 'payment.created'
export const RENAMED = 'payment.reference_changed'

/** An event with the hash that it must have. */
export interface Link {
  readonly event: VerifiedEvent
  readonly hash: Buffer
}

/** Each event in the order in which they were written, with the hash that it must have after those before it. */
export function chainOf(id: string, events: readonly VerifiedEvent[]): Link[] {
  let previous: Buffer | undefined
  // The reference of a PENDING payment may have changed: the event of its end is written later, with a lower sequence.
  return events
    .toSorted((one, other) => one.event_id - other.event_id)
    .map((event) => {
      previous = hashOf(id, previous, event)
      return { event, hash: previous }
    })
}

export function hashOf(paymentId: string, previous: Buffer | undefined, event: VerifiedEvent): Buffer {
  const { merchant_id: merchantId, sequence, type, data, actor, request_id: requestId, created_at } = event
  // A time without a date, such as infinity, has no ISO form. Only a change by hand stores one.
  const createdAt = isDate(created_at) ? created_at : new Date(0)
  return eventHash(previous, {
    ...{ paymentId, merchantId, sequence, type, actor, requestId, createdAt },
    data: data as Readonly<Record<string, unknown>>,
  })
}

export function isEnd(type: string): boolean {
  return type !== CREATED && statusAfter(type) !== undefined
}

/** The members of an event's data. What is no object has none. */
export function dataOf({ data }: VerifiedEvent): Readonly<Record<string, unknown>> {
  return typeof data === 'object' && data !== null ? (data as Readonly<Record<string, unknown>>) : {}
}

export function isDate(time: Date): boolean {
  return time instanceof Date && !Number.isNaN(time.getTime())
}
