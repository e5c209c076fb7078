import { defined } from '@cashflow/async'
import { eventId } from '@cashflow/domain'
import { createKey } from '../auth/merchant-keys.ts'
import { bodyWith } from '../requests.ts'
import type { ApiUnderTest } from '../start-api.ts'
import { finishChecks } from '../webhooks/store-check.ts'
import { storeDelivery } from '../webhooks/store-delivery.ts'
import { operationOf } from './contract.ts'
import { ask, type Parts } from './requests.ts'

/** Requests by operation, each with the values of its parts by name. They name what exists. */
export type KnownRequests = Readonly<Record<string, readonly Readonly<Record<string, string>>[]>>

interface Row {
  attempts?: number
  parked_at?: Date
  status?: 'SUCCESS'
  settled_at?: Date
}

/** Creates payments in several states, and returns requests with their ids, ETags, references, keys and cursors. */
export async function createKnownRequests(api: ApiUnderTest, key: string): Promise<KnownRequests> {
  const asked = (operationId: string, { headers, ...parts }: Parts = {}, by = key) =>
    ask(api, operationOf(operationId), { ...parts, headers: { Authorization: `Bearer ${by}`, ...headers } })

  /** Creates a payment, and changes its row as a worker would. */
  async function create(row: Row = {}, headers = {}, by = key) {
    const body = `${bodyWith().slice(0, -1)}, "metadata": {"order": "4711"}}`
    const { id, reference } = (await asked('createPayment', { headers, body }, by)).body
    if (Object.keys(row).length > 0) await api.db.updateTable('payments').set(row).where('id', '=', id).execute()
    return { id, reference, body }
  }
  const etagOf = async (id: string) => defined((await asked('getPayment', { id })).headers.etag, 'ETag')
  const cursorOf = async (operationId: string, query: string): Promise<string> =>
    (await asked(operationId, { query: `?limit=1${query}` })).body.next_cursor

  const keyed = await create({}, { 'Idempotency-Key': 'known' })
  const charged = await create({ attempts: 1 })
  // With an attempt, so that no request cancels it.
  const parked = await create({ attempts: 1, parked_at: new Date() })
  const settled = await create({ status: 'SUCCESS', settled_at: new Date() })
  const foreign = await create({}, {}, (await createKey(api)).text)
  const byId = [keyed, charged, parked, settled, foreign].map(({ id }) => ({ 'path id': id }))
  const settledEtag = await etagOf(settled.id)
  const changed = keyed.body.replace('100.50', '7')
  const document = await asked('getDocument')
  const endpoints = [await asked('createWebhookEndpoint'), await asked('createWebhookEndpoint')]
  const endpointIds = endpoints.map(({ body }) => body.id as string)
  const delivered = await storeDelivery(api, endpointIds[0] as string, keyed.id)
  await storeDelivery(api, endpointIds[1] as string, keyed.id, 'pending')
  const check = await asked('checkWebhookEndpoint', { id: endpointIds[0] as string })
  await finishChecks(api)
  const byEndpoint = endpointIds.map((id) => ({ 'path id': id }))
  const byEvent = [keyed, foreign].map(({ id }) => ({ 'path id': eventId(id, 1) }))
  return {
    createPayment: [
      { body: keyed.body, 'header Idempotency-Key': 'known' },
      { body: changed, 'header Idempotency-Key': 'known' },
      { body: keyed.body },
      { body: changed },
      { body: settled.body, 'header Idempotency-Key': 'another', 'header Prefer': 'wait=0' },
    ],
    getPayment: [
      ...byId,
      { 'path id': settled.id, 'header If-None-Match': settledEtag, 'header Prefer': 'wait=30' },
      { 'path id': settled.id, 'header If-None-Match': `"other", W/${settledEtag}` },
      { 'path id': charged.id, 'header If-None-Match': settledEtag },
    ],
    cancelPayment: byId,
    advancePayment: byId,
    listPaymentEvents: byId,
    listPayments: [
      { 'query cursor': await cursorOf('listPayments', '') },
      {
        'query cursor': await cursorOf('listPayments', '&status=PENDING&currency=USD'),
        'query status': 'PENDING',
        'query currency': 'USD',
      },
      { 'query reference': keyed.reference },
      { 'query idempotency_key': 'known' },
    ],
    listEvents: [
      { 'query after': await cursorOf('listEvents', '') },
      {
        'query after': await cursorOf('listEvents', '&type=payment.created'),
        'query type': 'payment.created',
      },
    ],
    getWebhookEndpoint: byEndpoint,
    changeWebhookEndpoint: byEndpoint.map((path) => ({ ...path, body: '{"types": ["payment.failed"]}' })),
    // Not those that others name.
    deleteWebhookEndpoint: await Promise.all(
      Array.from({ length: 3 }, async () => ({ 'path id': (await asked('createWebhookEndpoint')).body.id as string })),
    ),
    createWebhookEndpoint: [{ body: '{"url": "https://hooks.example.com/", "types": null, "ordering": "none"}' }],
    rotateWebhookSecret: byEndpoint.map((path) => ({ ...path, body: '{"overlap_s": 0}' })),
    replayWebhooks: byEndpoint.flatMap((path) =>
      ['{}', '{"after": "2026-01-01T00:00:00Z"}'].map((body) => ({ ...path, body })),
    ),
    checkWebhookEndpoint: byEndpoint,
    pingWebhookEndpoint: byEndpoint,
    getWebhookCheck: [{ 'path id': endpointIds[0] as string, 'path check': check.body.id }],
    listWebhookEndpoints: [{ 'query cursor': await cursorOf('listWebhookEndpoints', '') }],
    listWebhookDeliveries: [
      { 'query cursor': await cursorOf('listWebhookDeliveries', '') },
      { 'query event': delivered.eventId, 'query status': 'succeeded' },
      { 'query endpoint': endpointIds[0] as string },
    ],
    listEventDeliveries: byEvent,
    redeliverEvent: byEvent.map((path) => ({ ...path, body: '{}' })),
    getDocument: [{ 'header If-None-Match': defined(document.headers.etag, 'ETag') }],
  }
}
