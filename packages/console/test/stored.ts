import { insertPayments, type Tables } from '@cashflow/db'
import { parkPayment } from '@cashflow/db/worker'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { buryMessage } from '@cashflow/outbox'
import { aPayment } from '@cashflow/testing'
import type { Kysely } from 'kysely'

/** Stores a PENDING payment. Returns it. */
export async function storePayment(db: Kysely<Tables>, input: Parameters<typeof aPayment>[0] = {}) {
  const { payment, event } = aPayment({ merchantId: DEFAULT_MERCHANT_ID, ...input })
  const insert = { payment, event, requestId: 'r-1', messages: [] }
  await db.transaction().execute((tx) => insertPayments(tx, [insert], { redriveAfterMs: 3_600_000 }))
  return payment
}

/** Stores a parked payment with its dead letter, as a worker leaves it. Returns both ids. */
export async function storeParked(db: Kysely<Tables>, reason = 'HTTP 503', reference?: string) {
  const { id } = await storePayment(db, reference === undefined ? {} : { reference })
  const message = { messageId: id, key: id, topic: 'payment.created', payload: { payment_id: id } }
  await db.transaction().execute(async (tx) => {
    await parkPayment(tx, id, 0, reason)
    await buryMessage(tx, { ...message, source: 'worker', reason, attempts: 8 })
  })
  const letter = await db.selectFrom('dead_letters').select('id').where('key', '=', id).executeTakeFirstOrThrow()
  return { id, letter: letter.id }
}
