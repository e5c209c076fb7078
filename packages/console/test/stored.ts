import { randomUUID } from 'node:crypto'
import { createEndpoint, insertPayments, type Tables } from '@cashflow/db'
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

/** Stores an endpoint. Its secret cannot be opened. Returns its id. */
export async function storeEndpoint(db: Kysely<Tables>, url: string): Promise<string> {
  const id = randomUUID()
  const secret = { sealed: Buffer.alloc(40), keyId: 'k' }
  const facts = { types: null, ordering: 'payment', description: null, secret } as const
  await createEndpoint(db, { ...facts, id, merchantId: DEFAULT_MERCHANT_ID, url })
  return id
}

/** Stores the delivery of a new payment's first event, and its failed attempt. Returns the id of the payment. */
export async function storeFailedDelivery(db: Kysely<Tables>, endpointId: string, answer: string): Promise<string> {
  const payment = await storePayment(db)
  const merchant = { endpoint_id: endpointId, merchant_id: DEFAULT_MERCHANT_ID }
  const event = { payment_id: payment.id, sequence: 1, type: 'payment.created', event_at: new Date() }
  const attempt = { at: new Date(), duration_ms: 1_250, status: 500, error: null }
  const outcome = { attempts: 1, last_attempt_at: attempt.at, last_status: attempt.status, last_error: attempt.error }
  const { id } = await db
    .insertInto('webhook_deliveries')
    .values({ ...merchant, ...event, ...outcome, retry_at: new Date(Date.now() + 3_600_000) })
    .returning('id')
    .executeTakeFirstOrThrow()
  await db
    .insertInto('webhook_attempts')
    .values({ endpoint_id: endpointId, delivery_id: id, ...attempt, answer })
    .execute()
  return payment.id
}
