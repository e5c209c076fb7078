import { lockClaimed, parkPayment, savePostponed, type Tables } from '@cashflow/db'
import { buryMessage, type NewMessage, retryDelayMs, scheduleMessages } from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'
import type { Transaction } from 'kysely'
import type { PaymentMessage } from './read-delivery.ts'

/** What becomes of a message whose payment cannot be settled now. Each is done within the caller's transaction. */

export function messageAbout({ paymentId, requestId }: PaymentMessage, topic: string): NewMessage {
  return {
    messageId: uuidv7(),
    key: paymentId,
    topic,
    payload: { payment_id: paymentId },
    headers: requestId === undefined ? {} : { 'x-request-id': requestId },
  }
}

/** Looks at a payment again when its lease has ended, whoever held it. */
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
    reason: string
    attemptsMax: number
    redriveAfterMs: number
    random: (() => number) | undefined
    delayMinMs: number
  },
): Promise<Postponed | undefined> {
  const locked = await lockClaimed(tx, message.paymentId, by.token)
  if (!locked) return undefined
  const { attempts, delayMs } = await savePostponed(tx, message.paymentId, {
    delayMsAfter: (made) => Math.max(by.delayMinMs, retryDelayMs(made, by.random)),
    redriveAfterMs: by.redriveAfterMs,
  })
  if (attempts >= by.attemptsMax) {
    await park(tx, message, { attempts, reason: by.reason })
    return { attempts, parked: true }
  }
  await putOff(tx, message, delayMs)
  return { attempts, parked: false, delay_ms: delayMs }
}

/** Ends a claim without an attempt: nothing was charged, so nothing is counted. False: the claim is lost. */
export async function giveBack(
  tx: Transaction<Tables>,
  message: PaymentMessage,
  { token, delayMs, redriveAfterMs }: { token: string; delayMs: number; redriveAfterMs: number },
): Promise<boolean> {
  if (!(await lockClaimed(tx, message.paymentId, token))) return false
  await savePostponed(tx, message.paymentId, { delayMsAfter: () => delayMs, redriveAfterMs, counted: false })
  await putOff(tx, message, delayMs)
  return true
}

/** Out of the pipeline, with a dead letter that says why. Nothing when somebody was faster. */
export async function park(
  tx: Transaction<Tables>,
  message: PaymentMessage,
  { attempts, reason }: { attempts: number; reason: string },
): Promise<void> {
  if (!(await parkPayment(tx, message.paymentId))) return
  await buryMessage(tx, { ...messageAbout(message, 'payment.retry'), source: 'worker', reason, attempts })
}

/** A message that names no payment: the API stores a payment before it exists for anybody else. */
export function buryUnknown(tx: Transaction<Tables>, message: PaymentMessage): Promise<void> {
  return buryMessage(tx, {
    ...messageAbout(message, 'payment.retry'),
    source: 'worker',
    reason: 'no such payment',
    attempts: 0,
  })
}
