import { idOf } from '../payment-request.ts'
import { about } from './clients.ts'
import type { Rule } from './rule.ts'

/** A revoked key is refused from then on, in milliseconds after the revocation was confirmed. */
const REVOKED_MAX_MS = 5_000
/** Tolerance of the clock, which both times are read from and which may be slewed, in milliseconds. */
const CLOCK_MS = 50

/** Rules about what a key lets its owner do. */
export const MERCHANT_RULES: readonly Rule[] = [
  {
    name: 'no payment is seen with the key of another merchant',
    harm: 'other',
    *check({ paymentRequests, apis }) {
      for (const request of paymentRequests) {
        for (const { status } of request.foreignViews)
          if (status !== 404 && !isWithoutResult(status)) yield about(request, `another merchant got ${status}`)
        const last = request.foreignViews.filter(({ isFinal, status }) => isFinal && status === 404)
        if (idOf(request) !== undefined && last.length < apis)
          yield about(request, `was hidden from another merchant by ${last.length} APIs of ${apis}`)
      }
    },
  },
  {
    name: 'a key is accepted until it is revoked, and refused from 5 seconds later on',
    harm: 'other',
    *check({ keys }) {
      for (const { id, uses, revoked } of keys) {
        const { from, to } = revoked ?? { from: Number.POSITIVE_INFINITY, to: Number.POSITIVE_INFINITY }
        for (const { sentAt, answeredAt, status } of uses) {
          const at = `${new Date(answeredAt).toISOString()}, to a request of ${new Date(sentAt).toISOString()}`
          if (isRefusal(status) && answeredAt < from - CLOCK_MS) yield `key ${id} was refused with ${status} at ${at}`
          if (!isWithoutResult(status) && sentAt > to + REVOKED_MAX_MS + CLOCK_MS)
            yield `revoked key ${id} was answered with ${status} at ${at}`
        }
      }
    },
  },
]

type Status = number | 'none'

/** 429: an address that sends more than ten wrong keys a second gets no other answer to them. */
const isRefusal = (status: Status) => status === 401 || status === 429

const isWithoutResult = (status: Status) => isRefusal(status) || status === 503 || status === 'none'
