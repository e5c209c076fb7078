import { defined } from '@cashflow/async'
import type { ProviderAnswer } from './provider.ts'

/** Refused payments that are remembered. */
const REMEMBERED_MAX = 10_000
/** After this many refused payments in a row, the cause is taken to be the settings, not the payments. */
const REFUSED_MAX = 3

/**
 * Time that an answer proves that the provider takes requests like ours. A refused payment is not charged again within
 * this time, so a provider that begins to refuse everything costs each payment one refusal at most.
 */
export const ANSWER_SHOWS_MS = 30_000

/**
 * - `answered`: the provider decided, or said that it will.
 * - `silent`: too many attempts in a row got no answer.
 * - `refusing`: the provider rejects our credentials, or refused several different payments in a row.
 * - `inconclusive`: none of these yet.
 */
export type Finding = 'answered' | 'silent' | 'refusing' | 'inconclusive'

/** Remembers the provider's answers to this worker, and concludes what they show. */
export function createProviderRecord(failuresMax: number, now = () => performance.now()) {
  let unanswered = 0
  let refusals = 0
  /** Payments refused since the last answer, each with the number of its last refusal, in the order of those numbers. */
  const refused = new Map<string, number>()
  let latest = { paymentId: '', at: Number.NEGATIVE_INFINITY }
  /** Time of the last answer about a payment other than the latest. */
  let otherAt = Number.NEGATIVE_INFINITY

  function noteAnswer(paymentId: string): Finding {
    unanswered = 0
    refused.clear()
    if (paymentId !== latest.paymentId) otherAt = latest.at
    latest = { paymentId, at: now() }
    return 'answered'
  }

  function noteRefusal(paymentId: string): void {
    refusals += 1
    refused.delete(paymentId)
    refused.set(paymentId, refusals)
    const [oldest] = refused.keys()
    if (refused.size > REMEMBERED_MAX) refused.delete(defined(oldest, 'refused payment'))
  }

  return {
    note(answer: ProviderAnswer, paymentId: string): Finding {
      switch (answer.outcome) {
        case 'approved':
        case 'declined':
        case 'pending':
          return noteAnswer(paymentId)
        case 'unknown':
          unanswered += 1
          return unanswered >= failuresMax ? 'silent' : 'inconclusive'
        case 'refused':
          noteRefusal(paymentId)
          return refused.size >= REFUSED_MAX ? 'refusing' : 'inconclusive'
        case 'rejected':
          noteRefusal(paymentId)
          return 'refusing'
        case 'not_attempted':
          return 'inconclusive'
        default:
          return answer satisfies never
      }
    },
    /** Returns whether another payment was answered within `ANSWER_SHOWS_MS`. */
    othersAnswered(paymentId: string): boolean {
      const answeredAt = paymentId === latest.paymentId ? otherAt : latest.at
      return now() - answeredAt < ANSWER_SHOWS_MS
    },
    /** 0 for a payment that was not refused since the last answer. Otherwise a number that grows with each refusal. */
    lastRefusal: (paymentId: string): number => refused.get(paymentId) ?? 0,
  }
}
