import type { ProviderAnswer } from './provider.ts'

/** Refused payments that are remembered. */
const REMEMBERED_MAX = 10_000
/** Payments that are refused one after the other until the settings are suspected, not the payments. */
const REFUSED_MAX = 3

/**
 * How long an answer shows that the provider takes requests like ours. A refused payment is not charged again within this
 * time, so that a provider which begins to refuse everything costs each payment one refusal at most.
 */
export const ANSWER_SHOWS_MS = 30_000

/**
 * `answered`: it decided, or said that it will. `silent`: too many attempts in a row got no answer. `refusing`: it refuses
 * our credentials, or different payments in a row. `inconclusive`: none of these yet.
 */
export type Finding = 'answered' | 'silent' | 'refusing' | 'inconclusive'

/** What a worker's own requests have shown of its provider. */
export interface ProviderRecord {
  note(answer: ProviderAnswer, paymentId: string): Finding
  /** Whether another payment was answered within `ANSWER_SHOWS_MS`. */
  othersAnswered(paymentId: string): boolean
  /** 0 when the payment was not refused since the last answer; else the higher, the later it was refused. */
  refusedAs(paymentId: string): number
}

export function createProviderRecord(failuresMax: number, now = () => performance.now()): ProviderRecord {
  let unanswered = 0
  let refusals = 0
  /** Payments that were refused since the last answer, each with the number of its last refusal. */
  const refused = new Map<string, number>()
  let latest = { paymentId: '', at: Number.NEGATIVE_INFINITY }
  /** When another payment than the latest was answered. */
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
    const [longestAgo] = refused.keys()
    if (refused.size > REMEMBERED_MAX && longestAgo !== undefined) refused.delete(longestAgo)
  }

  return {
    note(answer, paymentId) {
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
        case 'misconfigured':
          noteRefusal(paymentId)
          return 'refusing'
        case 'withheld':
          return 'inconclusive'
        default:
          return answer satisfies never
      }
    },
    othersAnswered(paymentId) {
      const answeredAt = paymentId === latest.paymentId ? otherAt : latest.at
      return now() - answeredAt < ANSWER_SHOWS_MS
    },
    refusedAs: (paymentId) => refused.get(paymentId) ?? 0,
  }
}
