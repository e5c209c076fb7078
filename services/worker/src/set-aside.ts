import { findGivenBack, isParked, lockClaimed, parkPayment, savePostponed, type Tables } from '@cashflow/db'
import { buryMessage, type NewMessage, retryDelayMs, scheduleMessages } from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'
import type { Transaction } from 'kysely'
import type { PaymentMessage } from './read-delivery.ts'

/**
 * What becomes of a message whose payment cannot be settled now. Each is done within the caller's transaction, and finds
 * what it did when that runs `again`, because the answer to its COMMIT was lost.
 */

export function messageAbout({ paymentId, requestId }: PaymentMessage, topic: string): NewMessage {
  return {
    messageId: uuidv7(),
    key: paymentId,
    topic,
    payload: { payment_id: paymentId },
    headers: requestId === undefined ? {} : { 'x-request-id': requestId },
  }
}

/** Looks at a payment again when its lease has ended, whoever held it. Done again it is scheduled twice, which is harmless. */
export function putOff(tx: Transaction<Tables>, message: PaymentMessage, delayMs: number): Promise<void> {
  return scheduleMessages(tx, [messageAbout(message, 'payment.retry')], delayMs)
}

export interface Postponed {
  attempts: number
  parked: boolean
  delay_ms?: number
}

/** After an attempt without an answer: the next one is scheduled, or the payment parked. Undefined: the claim is lost. */
export async function postpone(
  tx: Transaction<Tables>,
  message: PaymentMessage,
  by: {
    token: string
    /** Before this one. */
    attempts: number
    again: boolean
    reason: string
    attemptsMax: number
    redriveAfterMs: number
    random: (() => number) | undefined
    delayMinMs: number
  },
): Promise<Postponed | undefined> {
  if (!(await lockClaimed(tx, { id: message.paymentId, token: by.token }))) {
    const attempts = by.attempts + 1
    const done = by.again ? await findGivenBack(tx, message.paymentId, { attempts }) : undefined
    return done && postponed({ ...done, attempts })
  }
  const { attempts, delayMs } = await savePostponed(tx, message.paymentId, {
    delayMsAfter: (made) => Math.max(by.delayMinMs, retryDelayMs(made, by.random)),
    redriveAfterMs: by.redriveAfterMs,
  })
  const parked = attempts >= by.attemptsMax
  if (parked) await park(tx, message, { attempts, reason: by.reason, again: by.again })
  else await putOff(tx, message, delayMs)
  return postponed({ attempts, parked, delayMs })
}

function postponed({ attempts, parked, delayMs }: { attempts: number; parked: boolean; delayMs: number }): Postponed {
  return parked ? { attempts, parked } : { attempts, parked, delay_ms: delayMs }
}

/** Ends a claim without an attempt: nothing was charged, so nothing is counted. False: the claim is lost. */
export async function giveBack(
  tx: Transaction<Tables>,
  message: PaymentMessage,
  by: { token: string; attempts: number; again: boolean; delayMs: number; redriveAfterMs: number },
): Promise<boolean> {
  const { delayMs, redriveAfterMs } = by
  if (!(await lockClaimed(tx, { id: message.paymentId, token: by.token })))
    return by.again && (await findGivenBack(tx, message.paymentId, by)) !== undefined
  await savePostponed(tx, message.paymentId, { delayMsAfter: () => delayMs, redriveAfterMs, counted: false })
  await putOff(tx, message, delayMs)
  return true
}

/** Out of the pipeline, with a dead letter that says why. False: nothing was done, somebody was faster. */
export async function park(
  tx: Transaction<Tables>,
  message: PaymentMessage,
  { attempts, reason, again }: { attempts: number; reason: string; again: boolean },
): Promise<boolean> {
  if (!(await parkPayment(tx, message.paymentId, attempts))) return again && (await isParked(tx, message.paymentId))
  await buryMessage(tx, { ...messageAbout(message, 'payment.retry'), source: 'worker', reason, attempts })
  return true
}

/** A message that names no payment: the API stores a payment before it exists for anybody else. */
export async function buryUnknown(tx: Transaction<Tables>, message: PaymentMessage): Promise<void> {
  await buryMessage(tx, {
    ...messageAbout(message, 'payment.retry'),
    source: 'worker',
    reason: 'no such payment',
    attempts: 0,
  })
}
