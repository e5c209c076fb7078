import { attemptsAfter, findReleased, isParked, lockClaimed, parkPayment, saveRetry, type Tables } from '@cashflow/db'
import { type NewPaymentMessage, retryMessage } from '@cashflow/domain'
import { buryMessage, scheduleMessages } from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'
import type { Transaction } from 'kysely'
import type { PaymentMessage } from './read-delivery.ts'
import type { ReleasePlan } from './release-plan.ts'

/**
 * What becomes of a message whose payment cannot be settled now. Each is done within the caller's transaction, and finds
 * what it did when that runs `again`, because the answer to its COMMIT was lost.
 */

/** A new message that sends the same payment to a worker. */
export function retryOf({ paymentId, requestId }: PaymentMessage): NewPaymentMessage {
  return retryMessage(paymentId, { messageId: uuidv7(), requestId })
}

/** Looks at a payment again when its lease has ended, whoever held it. Done again it is scheduled twice, which is harmless. */
export function putOff(tx: Transaction<Tables>, message: PaymentMessage, delayMs: number): Promise<void> {
  return scheduleMessages(tx, [retryOf(message)], delayMs)
}

export interface Released {
  attempts: number
  refusals: number
  parked: boolean
  delayMs: number
}

/** Ends a claim as planned: the payment is tried again later, or parked. Undefined: the claim is lost. */
export async function release(
  tx: Transaction<Tables>,
  message: PaymentMessage,
  {
    cause,
    delayMsAfter,
    isOver,
    parkReason,
    ...by
  }: ReleasePlan & {
    token: string
    /** Before this one. */
    attempts: number
    again: boolean
    redriveAfterMs: number
  },
): Promise<Released | undefined> {
  const { paymentId } = message
  if (!(await lockClaimed(tx, { id: paymentId, token: by.token }))) {
    const attempts = attemptsAfter(cause, by.attempts)
    const done = by.again ? await findReleased(tx, paymentId, { attempts }) : undefined
    return done && { ...done, attempts }
  }
  const saved = await saveRetry(tx, paymentId, { cause, delayMsAfter, redriveAfterMs: by.redriveAfterMs })
  const parked = isOver(saved)
  if (parked) await park(tx, message, { attempts: saved.attempts, reason: parkReason, again: by.again })
  else await putOff(tx, message, saved.delayMs)
  return { ...saved, parked }
}

/** Out of the pipeline, with a dead letter that says why. False: nothing was done, somebody was faster. */
export async function park(
  tx: Transaction<Tables>,
  message: PaymentMessage,
  { attempts, reason, again }: { attempts: number; reason: string; again: boolean },
): Promise<boolean> {
  if (!(await parkPayment(tx, message.paymentId, attempts))) return again && (await isParked(tx, message.paymentId))
  await buryMessage(tx, { ...retryOf(message), source: 'worker', reason, attempts })
  return true
}

/** A message that names no payment: the API stores a payment before it exists for anybody else. */
export async function buryUnknown(tx: Transaction<Tables>, message: PaymentMessage): Promise<void> {
  await buryMessage(tx, {
    ...retryOf(message),
    source: 'worker',
    reason: 'no such payment',
    attempts: 0,
  })
}
