import { randomUUID } from 'node:crypto'
import { defined, eventually } from '@cashflow/async'
import { createEndpoint, insertPayments, type StoredEvent, type Tables } from '@cashflow/db'
import { claimDeliveries, fanOut, settleDeliveries, type Verdict } from '@cashflow/db/webhooks'
import { DEFAULT_MERCHANT_ID, eventId, paymentAsOf } from '@cashflow/domain'
import { aPayment } from '@cashflow/testing'
import { createSecretBox, newSecret, parseSealingKeys } from '@cashflow/webhook-sender'
import type { Kysely } from 'kysely'

/** A value of SECRETS_KEY. */
export const SECRETS_KEY = 'o'.repeat(32)

interface EndpointOptions {
  readonly merchantId?: string
  readonly url?: string
  readonly secretsKey?: string
}

/** Creates an endpoint of a merchant. Returns its id and its secret. */
export async function storeEndpoint(db: Kysely<Tables>, options: EndpointOptions = {}) {
  const {
    merchantId = DEFAULT_MERCHANT_ID,
    url = 'https://shop.example/hooks?token=t',
    secretsKey = SECRETS_KEY,
  } = options
  const [id, plain] = [randomUUID(), newSecret()]
  const secret = createSecretBox(parseSealingKeys(secretsKey)).seal(plain, id)
  await createEndpoint(db, { id, merchantId, url, types: null, ordering: 'payment', description: null, secret })
  return { id, secret: plain }
}

/** Stores a payment and the deliveries of its first event. Returns its id. */
export async function storeDelivered(db: Kysely<Tables>, merchantId = DEFAULT_MERCHANT_ID): Promise<string> {
  const { payment, event } = aPayment({ merchantId })
  const insert = { payment, event, requestId: 'r-1', messages: [] }
  await db.transaction().execute((tx) => insertPayments(tx, [insert], { redriveAfterMs: 3_600_000 }))
  // A transaction of another test's database delays the event.
  await eventually(async () => {
    await fanOut(db, { merchantIds: [merchantId], eventsMax: 100, bodyOf })
    const delivery = db.selectFrom('webhook_deliveries').select('id').where('payment_id', '=', payment.id)
    defined(await delivery.executeTakeFirst(), 'delivery')
  })
  return payment.id
}

/** Attempts one delivery that is due. */
export async function attempt(db: Kysely<Tables>, verdict: Verdict, status: number): Promise<void> {
  const limits = { deliveriesMax: 1, failingMax: 1, window: 1, leaseMs: 30_000 }
  const { deliveries } = await claimDeliveries(db, { token: randomUUID(), ...limits })
  const { endpointId, url, id, token } = defined(deliveries[0], 'due delivery')
  const ended = { endpointId, url, id, token, durationMs: 12, status, error: undefined, answer: 'an answer', verdict }
  await settleDeliveries(db, [ended])
}

/** As services/webhooks makes it. */
function bodyOf(event: StoredEvent): string {
  const { paymentId, sequence, type, createdAt } = event
  const previous = sequence > 1 ? eventId(paymentId, sequence - 1) : null
  const data = { id: paymentId, ...paymentAsOf(event), sequence, previous_event_id: previous, api_version: 'v1' }
  return JSON.stringify({ type, timestamp: createdAt, data })
}
