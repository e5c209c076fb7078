import { randomBytes, randomUUID } from 'node:crypto'
import { newSecret, webhookHeaders } from '../signature.ts'

/** The type of all events of checks. No event of a payment has it. */
export const CHECK_TYPE = 'webhook.check'

export interface CheckRequest {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface CheckRequestOptions {
  /** The case that it is for. */
  readonly check: string
  /** Requests about the same subject have the same one: in place of a payment. */
  readonly subject?: string
  /** The place of the event among those of its subject. */
  readonly sequence?: number
  readonly type?: string
  /** Time of the signature, in seconds from now. */
  readonly offsetS?: number
  /** When the event happened. Default: the time of the signature. */
  readonly eventAt?: Date
  /** Characters that make the body longer. */
  readonly padding?: number
  /** Changes the text of the body before it is signed. */
  readonly write?: (body: string) => string
}

export type MakeRequest = (options: CheckRequestOptions) => CheckRequest

/** A UUID of version 4. Payments have those of version 7, so it is the id of none. */
export const newSubject = (): string => randomUUID()

/** A type that no receiver knows. */
export const unknownType = (): string => `${CHECK_TYPE}.${randomBytes(4).toString('hex')}`

/**
 * Makes requests like those of deliveries, with an event that names no payment: so no receiver ships goods for it.
 *
 * @param secrets those that sign. Default: one that the receiver does not know.
 */
export function createRequests(now: () => Date, secrets: readonly string[] = [newSecret()]): MakeRequest {
  return ({ check, subject = newSubject(), sequence = 1, type = CHECK_TYPE, offsetS = 0, padding = 0, ...options }) => {
    const sentAt = new Date(now().getTime() + offsetS * 1_000)
    const text = JSON.stringify({
      type,
      timestamp: options.eventAt ?? sentAt,
      data: {
        id: subject,
        sequence,
        previous_event_id: sequence > 1 ? checkEventId(subject, sequence - 1) : null,
        check,
        ...(padding > 0 && { padding: 'x'.repeat(padding) }),
        api_version: 'v1',
      },
    })
    const body = options.write ? options.write(text) : text
    return { headers: webhookHeaders({ id: checkEventId(subject, sequence), body, secrets, now: sentAt }), body }
  }
}

/** Of the same form as the ids of events of payments. */
const checkEventId = (subject: string, sequence: number) => `evt_${subject}_${sequence}`
