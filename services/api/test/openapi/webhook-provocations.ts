import type { ProblemCode } from '../../src/problem-types.ts'
import type { Answer } from '../raw-request.ts'
import type { ApiUnderTest } from '../start-api.ts'
import { finishChecks } from '../webhooks/store-check.ts'
import { storeDelivery } from '../webhooks/store-delivery.ts'
import { type Operation, operationOf } from './contract.ts'
import { created, type Provocation } from './provoking-apis.ts'
import { ask, type Parts } from './requests.ts'

const REPLAY = '{"after": "2026-01-01T00:00:00Z"}'

/** Creates an endpoint. Those of earlier tests are deleted, because a merchant may have few. */
async function createdEndpoint(api: ApiUnderTest): Promise<string> {
  const { body: list } = await ask(api, operationOf('listWebhookEndpoints'))
  for (const { id } of list.data) await ask(api, operationOf('deleteWebhookEndpoint'), { id })
  return (await ask(api, operationOf('createWebhookEndpoint'))).body.id
}

/** Asks for an endpoint that was just created. */
function ofNewEndpoint(parts: Parts = {}) {
  return async (api: ApiUnderTest, asked: Operation) =>
    await ask(api, asked, { ...parts, id: await createdEndpoint(api) })
}

/** Asks for an event with a delivery that has been tried. */
async function askOfDelivered(api: ApiUnderTest, asked: Operation): Promise<Answer> {
  return await ask(api, asked, {
    id: (await storeDelivery(api, await createdEndpoint(api), await created(api))).eventId,
  })
}

/** What provokes the problems that only operations of webhooks answer with. */
export const WEBHOOK_PROBLEMS: Readonly<Partial<Record<ProblemCode, Provocation>>> = {
  'webhooks-not-configured': ['unconfigured', ask],
  'url-refused': ['ordinary', (api, asked) => ask(api, asked, { body: '{"url": "https://169.254.169.254/"}' })],
  'endpoint-limit': [
    'crowded',
    async (api, asked) => {
      for (let count = 1; count <= 16; count++) await ask(api, asked)
      return await ask(api, asked)
    },
  ],
  'endpoint-disabled': [
    'ordinary',
    async (api, asked) => {
      const id = await createdEndpoint(api)
      await ask(api, operationOf('changeWebhookEndpoint'), { id, body: '{"enabled": false}' })
      return await ask(api, asked, { id, body: '{}' })
    },
  ],
  'nothing-missed': [
    'ordinary',
    async (api, asked) => await ask(api, asked, { id: await createdEndpoint(api), body: '{}' }),
  ],
  'replay-running': [
    'ordinary',
    async (api, asked) => {
      const parts = { id: await createdEndpoint(api), body: REPLAY }
      await ask(api, asked, parts)
      return await ask(api, asked, parts)
    },
  ],
  'check-limit': [
    'ordinary',
    async (api, asked) => {
      const id = await createdEndpoint(api)
      await ask(api, asked, { id })
      await finishChecks(api)
      return await ask(api, asked, { id })
    },
  ],
}

/** What provokes an answer without a problem at one operation of webhooks. */
export const WEBHOOK_ANSWERS: Readonly<Record<string, Provocation[]>> = {
  'listWebhookEndpoints 200': [['ordinary', ofNewEndpoint({ query: '?limit=1' })]],
  'createWebhookEndpoint 201': [['ordinary', ask]],
  'getWebhookEndpoint 200': [['ordinary', ofNewEndpoint()]],
  'changeWebhookEndpoint 200': [
    ['ordinary', ofNewEndpoint({ body: '{"types": ["payment.failed"], "enabled": false}' })],
  ],
  'deleteWebhookEndpoint 204': [['ordinary', ofNewEndpoint()]],
  'rotateWebhookSecret 200': [['ordinary', ofNewEndpoint({ body: '{"overlap_s": 60}' })]],
  'replayWebhooks 202': [['ordinary', ofNewEndpoint({ body: REPLAY })]],
  'checkWebhookEndpoint 202': [['ordinary', ofNewEndpoint()]],
  'pingWebhookEndpoint 202': [['ordinary', ofNewEndpoint()]],
  'getWebhookCheck 200': [
    [
      'ordinary',
      async (api, asked) => {
        const id = await createdEndpoint(api)
        const { body } = await ask(api, operationOf('checkWebhookEndpoint'), { id })
        await finishChecks(api)
        return await ask(api, asked, { id, check: body.id })
      },
    ],
  ],
  'listWebhookDeliveries 200': [
    [
      'ordinary',
      async (api, asked) => {
        const endpointId = await createdEndpoint(api)
        for (const status of ['succeeded', 'pending'] as const)
          await storeDelivery(api, endpointId, await created(api), status)
        return await ask(api, asked, { query: `?limit=1&endpoint=${endpointId}` })
      },
    ],
  ],
  'listEventDeliveries 200': [['ordinary', askOfDelivered]],
  'redeliverEvent 202': [['ordinary', askOfDelivered]],
}
